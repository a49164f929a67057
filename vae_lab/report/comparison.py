"""Arms against the reference arm: paired over seeds, and over test images; or why not."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vae_lab.report.convergence import OF_ESTIMATE, could_turn
from vae_lab.report.statistics import Difference, holm, paired, paired_images
from vae_lab.study.identity import PLACES
from vae_lab.tracking.records import RunRecord

# A run -> the metric's value of each test image, float64 [N]; None where it left none.
PerImage = Callable[[RunRecord], np.ndarray | None]

OF_SPLITS = ("train/", "val/", "test/", "running/")
OF_WEIGHTS = ("/ess", "/log_likelihood_rise", "pareto_k")
# What decides which rows are scored, and not what is done to their pixels.
WHICH_ROWS = tuple(
    f"data.{key}" for key in ("split_seed", "test_fraction", "validation_fraction", "validation_size", "train_rows")
)
# Binarizations by which bits per dim stay those of the data's own levels.
OF_LEVELS = ("none", "dequantized")


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
      unpaired: why images are not paired although both arms have values of them.
      could_turn: why more importance samples could turn the order of the two; None where nothing says so.
      equal: whether the two came out bitwise equal: what they differ in does nothing.
      seeds_holm, images_holm: the p-values, corrected over all arms of the table; the former, once the page's claims
        are known, over those that are differences too.
      needed: how many seeds find the study's smallest effect by that correction.
    """

    arm: str
    reference: str
    refused: str | None = None
    seeds: tuple[int, ...] = ()
    each: tuple[float, ...] = ()
    over_seeds: Difference | None = None
    over_images: Difference | None = None
    unpaired: str | None = None
    could_turn: str | None = None
    equal: bool = False
    seeds_holm: float = math.nan
    images_holm: float = math.nan
    needed: int | None = None

    @property
    def notes(self) -> list[str]:
        """What a reader should know of it, in lines."""
        told = [f"{self.arm} and {self.reference} are not paired by image: {self.unpaired}"] if self.unpaired else []
        if self.could_turn:
            told.append(f"the order of {self.arm} and {self.reference} could turn with more samples: {self.could_turn}")
        if self.equal:
            told.append(f"{self.arm} and {self.reference} came out bitwise equal: what they differ in does nothing")
        return told


Runs = Mapping[str, Mapping[int, RunRecord]]


def why_not(a: RunRecord, b: RunRecord, metric: str) -> str | None:
    """Why the values of a metric of two runs must not be subtracted; None where they may be."""
    if not metric.startswith(OF_SPLITS):
        return None
    changed = changed_pixels(a, b, metric)
    if not same_images(a, b, metric) and (of_pixels := [key for key in changed if key not in WHICH_ROWS]):
        return f"other pixels: {told(a, b, of_pixels[0])}"
    if a.tags.get("vae_lab.data_sha256") != b.tags.get("vae_lab.data_sha256"):
        return "other data (SHA-256)"
    for what, of_run in (("kind of likelihood", likelihood_kind), ("K of the log-likelihood", importance_samples)):
        if (one := of_run(a, metric)) != (other := of_run(b, metric)):
            return f"other {what}: {one or 'not stated'} against {other or 'not stated'}"
    return None


def why_not_by_image(a: RunRecord, b: RunRecord, metric: str) -> str | None:
    """Why two runs that may be compared must not be paired image by image; None where they may be."""
    if same_images(a, b, metric):
        return None
    rows = [key for key in changed_pixels(a, b, metric) if key in WHICH_ROWS]
    return f"other rows are scored: {told(a, b, rows[0])}" if rows else "other pixels were scored"


def same_images(a: RunRecord, b: RunRecord, metric: str) -> bool:
    """Whether two runs scored the same images: by their pixels, or for bits per dim by those before binarization."""
    split = metric.partition("/")[0]
    if metric.endswith("bits_per_dim") and {binarization(a), binarization(b)} <= set(OF_LEVELS):
        tag = f"vae_lab.rows.{split}"
    else:
        tag = f"vae_lab.scored.{split}"
    return tag in a.tags and a.tags[tag] == b.tags.get(tag)


def changed_pixels(a: RunRecord, b: RunRecord, metric: str) -> list[str]:
    """The settings that make pixels, in which two runs differ."""
    levels = metric.endswith("bits_per_dim") and {binarization(a), binarization(b)} <= set(OF_LEVELS)
    return [key for key in changes(a, b) if key.startswith(("data.", *(() if levels else ("binarization.",))))]


def changes(a: RunRecord, b: RunRecord) -> list[str]:
    """Parameters in which two runs differ, but for the seed and for places; names before settings."""
    keys = [key for key in a.params | b.params if key != "seed" and not key.startswith(PLACES) and ".facts." not in key]
    return sorted(
        (key for key in keys if a.params.get(key) != b.params.get(key)),
        key=lambda key: (not key.endswith(".name"), key),
    )


def told(a: RunRecord, b: RunRecord, key: str) -> str:
    """A setting's two values, as the command line writes them."""
    one, other = (run.params.get(key, "none") for run in (a, b))
    return " against ".join([f"{key} {one}", other]).replace("None", "null")


def binarization(run: RunRecord) -> str:
    """The run's binarization, by name."""
    return run.params.get("binarization.name", run.tags.get("option.binarization", ""))


def likelihood_kind(run: RunRecord, metric: str) -> str:
    """Densities, probabilities, or a cross-entropy of grey pixels, which is neither.

    Bits per dim are made to compare probabilities of grey levels with densities of dequantized ones.
    """
    discrete = run.params.get("likelihood.facts.discrete")
    if metric.endswith("bits_per_dim") or discrete is None:
        return ""
    if discrete != "True":
        return "densities"
    grey = binarization(run) in OF_LEVELS and run.params.get("data.facts.levels") != "2"
    allowed = run.params.get("likelihood.allow_grey") == "True"
    return "cross-entropy of grey pixels" if grey and allowed else "probabilities"


def importance_samples(run: RunRecord, metric: str) -> str:
    """K of an importance-weighted estimate; empty for metrics without one."""
    return run.params.get("evaluation.importance_samples", "") if metric.endswith((*OF_ESTIMATE, *OF_WEIGHTS)) else ""


def compare(runs: Runs, arm: str, reference: str, metric: str, per_image: PerImage) -> Comparison:
    """Compares two arms by one metric."""
    a, b = runs.get(arm, {}), runs.get(reference, {})
    both = sorted(set(a) & set(b))
    seeds = tuple(seed for seed in both if metric in a[seed].metrics and metric in b[seed].metrics)
    if not seeds:
        return Comparison(arm, reference, "no finished run of the same seed has both" if a and b else "not run")
    pairs = [(a[seed], b[seed]) for seed in seeds]
    if reasons := [reason for pair in pairs if (reason := why_not(*pair, metric))]:
        return Comparison(arm, reference, f"not comparable by {metric}: {reasons[0]}", seeds)
    values = [[runs_of[seed].metrics[metric] for seed in seeds] for runs_of in (a, b)]
    if not np.isfinite(values).all():
        return Comparison(arm, reference, f"a value of {metric} is not finite", seeds)
    over_seeds = paired(values[0], values[1])
    each = tuple(one - other for one, other in zip(*values, strict=True))
    turn = could_turn(pairs, metric)
    found = Comparison(arm, reference, None, seeds, each, over_seeds, could_turn=turn)
    images = [mean_over_seeds([runs_of[seed] for seed in seeds], per_image) for runs_of in (a, b)]
    if images[0] is None or images[1] is None:
        return replace(found, equal=is_nothing(pairs))
    if reasons := [reason for pair in pairs if (reason := why_not_by_image(*pair, metric))]:
        return replace(found, unpaired=reasons[0])
    if images[0].shape != images[1].shape:
        return replace(found, unpaired="they left values of other numbers of images")
    over_images = paired_images(images[0], images[1])
    return replace(found, over_images=over_images, equal=is_nothing(pairs) and np.array_equal(images[0], images[1]))


def is_nothing(pairs: Sequence[tuple[RunRecord, RunRecord]]) -> bool:
    """Whether all metrics of paired runs are equal, but for how fast they were."""
    measured = [
        [{key: value for key, value in run.metrics.items() if not key.startswith("perf/")} for run in pair]
        for pair in pairs
    ]
    return all(one == other and one for one, other in measured)


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


def settings_by_arm(runs: Runs) -> dict[str, list[str]]:
    """Parameters in which the arms differ, with each arm's value: one run speaks for its arm."""
    of_arm = [by_seed[min(by_seed)] if by_seed else None for by_seed in runs.values()]
    there = [run for run in of_arm if run is not None]
    keys = sorted({key for run in there[1:] for key in changes(there[0], run)} if there else ())
    keys.sort(key=lambda key: (not key.endswith(".name"), key))
    return {key: ["" if run is None else run.params.get(key, "") for run in of_arm] for key in keys}
