"""Metrics by epoch, arm by arm."""

from dataclasses import dataclass

import numpy as np

from vae_lab.report.selection import StudyRuns
from vae_lab.tracking.records import metric_history
from vae_lab.tracking.store import Store

BY_EPOCH = ("elbo", "rate", "distortion", "bound", "loss")
SPLITS_BY_EPOCH = ("val", "running")


@dataclass(frozen=True)
class Curve:
    """A metric of an arm by epoch, as far as all of its runs have come."""

    epochs: np.ndarray  # int [E]
    mean: np.ndarray  # float64 [E], over seeds
    low: np.ndarray  # the smallest seed's
    high: np.ndarray  # the largest seed's
    seeds: int


def curves_of(store: Store, metric: str, runs: StudyRuns) -> dict[str, dict[str, Curve]]:
    """The curves of val and running by arm; of an arm without a finished run, those of its running ones."""
    quantity = metric.partition("/")[2]
    quantity = quantity if quantity in BY_EPOCH else "elbo"
    by_arm = {arm: [run.trained_by for run in by_seed.values()] for arm, by_seed in runs.counted.items()}
    for run in runs.running:
        arm = run.tags.get("vae_lab.arm", "default")
        if not runs.counted[arm]:
            by_arm[arm].append(run.run_id)
    everyone = [run_id for ids in by_arm.values() for run_id in ids]
    found: dict[str, dict[str, Curve]] = {}
    for key in (f"{split}/{quantity}" for split in SPLITS_BY_EPOCH):
        history = metric_history(store, everyone, key)
        curves = {arm: curve([history[run_id] for run_id in ids if run_id in history]) for arm, ids in by_arm.items()}
        if drawn := {arm: one for arm, one in curves.items() if one is not None}:
            found[key] = drawn
    return found


def curve(histories: list[dict[int, float]]) -> Curve | None:
    """Mean and range of histories (value by epoch) over the epochs that all of them have."""
    if not histories:
        return None
    epochs = sorted(set.intersection(*(set(history) for history in histories)))
    if not epochs:
        return None
    values = np.array([[history[epoch] for epoch in epochs] for history in histories])
    return Curve(np.array(epochs), values.mean(0), values.min(0), values.max(0), len(values))
