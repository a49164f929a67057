"""What the runs left beside their final metrics: values by image, curves, pictures, settings."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vae_lab.report.comparison import PerImage
from vae_lab.report.selection import StudyRuns, changes
from vae_lab.tracking.artifacts import artifact, last_frames
from vae_lab.tracking.records import RunRecord, metric_history, read_run
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


def per_image_values(store: Store, metric: str, folder: Path) -> PerImage:
    """Reads a metric's values by image from a run's artifact of its split, each run's once."""
    split, _, quantity = metric.partition("/")
    known: dict[str, np.ndarray | None] = {}

    def read(record: RunRecord) -> np.ndarray | None:
        path = artifact(store, record, f"evaluation/{split}.npz", folder)
        if path is None:
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return arrays[quantity].astype(np.float64) if quantity in arrays else None
        except (OSError, ValueError, zipfile.BadZipFile):
            return None  # not an npz: the comparison goes without

    def read_once(record: RunRecord) -> np.ndarray | None:
        if record.run_id not in known:
            known[record.run_id] = read(record)
        return known[record.run_id]

    return read_once


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


def sheets_of(store: Store, runs: StudyRuns, folder: Path) -> dict[str, dict[str, tuple[int, int, bytes]]]:
    """The newest pictures by kind and arm, as (seed, epoch, PNG); of one seed in all arms, where they share one."""
    seeds = [set(by_seed) for by_seed in runs.counted.values() if by_seed]
    shared = set.intersection(*seeds) if seeds else set()
    found: dict[str, dict[str, tuple[int, int, bytes]]] = {}
    for arm, by_seed in runs.counted.items():
        if by_seed:
            seed = min(shared or by_seed)
            shown = by_seed[seed]
            if shown.trained_by != shown.run_id:
                shown = read_run(store, shown.trained_by)
            for kind, (epoch, path) in last_frames(store, shown, folder).items():
                found.setdefault(kind, {})[arm] = (seed, epoch, path.read_bytes())
    return found


def settings_by_arm(runs: StudyRuns) -> dict[str, list[str]]:
    """Parameters in which the arms differ, with each arm's value: one run speaks for its arm."""
    of_arm = [by_seed[min(by_seed)] if by_seed else None for by_seed in runs.counted.values()]
    there = [run for run in of_arm if run is not None]
    keys = sorted({key for run in there[1:] for key in changes(there[0], run)} if there else ())
    keys.sort(key=lambda key: (not key.endswith(".name"), key))
    return {key: ["" if run is None else run.params.get(key, "") for run in of_arm] for key in keys}
