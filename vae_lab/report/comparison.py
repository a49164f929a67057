"""Arms against the reference arm: paired over seeds, and over test images."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vae_lab.report.comparable import why_not
from vae_lab.report.statistics import Difference, holm, paired, paired_images, seeds_needed
from vae_lab.tracking.records import RunRecord

# A run -> the metric's value of each test image, float64 [N]; None where it left none.
PerImage = Callable[[RunRecord], np.ndarray | None]


@dataclass(frozen=True)
class Comparison:
    """An arm minus another.

    Attributes:
      arm, reference: the two.
      refused: why they are not compared; None where they are.
      seeds: the seeds that both have, in order.
      each: the difference of each seed.
      over_seeds: paired by seed; None where they share no seed.
      over_images: paired by test image, each arm averaged over the shared seeds; None without values by image.
      seeds_holm, images_holm: the p-values, corrected over all arms of the table.
      needed: how many seeds a difference of this size needs.
    """

    arm: str
    reference: str
    refused: str | None = None
    seeds: tuple[int, ...] = ()
    each: tuple[float, ...] = ()
    over_seeds: Difference | None = None
    over_images: Difference | None = None
    seeds_holm: float = math.nan
    images_holm: float = math.nan
    needed: int | None = None


Runs = Mapping[str, Mapping[int, RunRecord]]


def compare(runs: Runs, arm: str, reference: str, metric: str, per_image: PerImage) -> Comparison:
    """Compares two arms by one metric."""
    a, b = runs.get(arm, {}), runs.get(reference, {})
    both = sorted(set(a) & set(b))
    seeds = tuple(seed for seed in both if metric in a[seed].metrics and metric in b[seed].metrics)
    if not seeds:
        return Comparison(arm, reference, "no finished run of the same seed has both" if a and b else "not run")
    if reasons := [reason for seed in seeds if (reason := why_not(a[seed], b[seed], metric))]:
        return Comparison(arm, reference, f"not comparable by {metric}: other {reasons[0]}", seeds)
    values = [[runs_of[seed].metrics[metric] for seed in seeds] for runs_of in (a, b)]
    if not np.isfinite(values).all():
        return Comparison(arm, reference, f"a value of {metric} is not finite", seeds)
    over_seeds = paired(*values)
    images = [mean_over_seeds([runs_of[seed] for seed in seeds], per_image) for runs_of in (a, b)]
    over_images = None
    if images[0] is not None and images[1] is not None and images[0].shape == images[1].shape:
        over_images = paired_images(images[0], images[1])
    each = tuple(one - other for one, other in zip(*values, strict=True))
    return Comparison(arm, reference, None, seeds, each, over_seeds, over_images, needed=seeds_needed(over_seeds))


def mean_over_seeds(runs: Sequence[RunRecord], per_image: PerImage) -> np.ndarray | None:
    """Values by image, averaged over runs; None where a run left none, or runs left different numbers of them."""
    arrays = [array for run in runs if (array := per_image(run)) is not None]
    if len(arrays) < len(runs) or len({array.shape for array in arrays}) > 1:
        return None
    return np.mean(arrays, axis=0)


def compare_all(runs: Runs, reference: str, metric: str, per_image: PerImage) -> list[Comparison]:
    """Compares every other arm with the reference, and corrects the p-values over them."""
    found = [compare(runs, arm, reference, metric, per_image) for arm in runs if arm != reference]
    by_seeds = holm([one.over_seeds.p if one.over_seeds else math.nan for one in found])
    by_images = holm([one.over_images.p if one.over_images else math.nan for one in found])
    return [
        replace(one, seeds_holm=seeds, images_holm=images)
        for one, seeds, images in zip(found, by_seeds, by_images, strict=True)
    ]
