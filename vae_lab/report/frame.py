"""Runs as pandas data frames, for a notebook."""

import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vae_lab.config.compose import compose_unchecked
from vae_lab.errors import UsageError
from vae_lab.report.planned import study_of_sweep
from vae_lab.report.selection import find_runs
from vae_lab.study.experiments import read_experiment
from vae_lab.study.identity import PLACES
from vae_lab.tracking.artifacts import artifact
from vae_lab.tracking.records import RunRecord, metric_history, runs_tagged
from vae_lab.tracking.store import Store, open_store

FORMS = ("run", "epoch", "image")
WHICH = ("experiment", "sweep")
WHERE = ("tracking.uri", "tracking.experiment_name", "data.path", "data.dir")
SPLITS = ("train", "val", "test")
BY_EPOCH = ("running/", "val/")


class Entry(NamedTuple):
    """A run, and what it is to the study that was asked for."""

    run: RunRecord
    arm: str
    seed: int | None
    counts: bool  # whether a report's numbers are of it
    why: str  # not


def runs(*words: str, by: str = "run", aside: bool = False) -> pd.DataFrame:
    """The runs of an experiment, of a sweep, or of the whole MLflow experiment; see `vae_lab.runs`.

    Raises:
      UsageError: where a word is none of these, or names what there is not.
    """
    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    if unknown := [word for word in words if word.partition("=")[0] not in (*WHICH, *WHERE) or "=" not in word]:
        raise UsageError(f"{unknown[0]} does not say which runs; {', '.join((*WHICH, *WHERE))} do")
    if by not in FORMS:
        raise UsageError(f"by={by} must be one of {', '.join(FORMS)}")
    if set(WHICH) <= set(given):
        raise UsageError("experiment and sweep are given both; give one, or neither for all runs")
    places = [f"{key}={given[key]}" for key in WHERE if key in given]
    tracking = compose_unchecked(*(place for place in places if place.startswith("tracking"))).tracking
    store = open_store(tracking.uri, tracking.experiment_name, existing=True)
    found = [entry for entry in entries(store, given, places) if entry.counts or aside]
    return {"run": by_run, "epoch": by_epoch, "image": by_image}[by](store, found)


def entries(store: Store, given: Mapping[str, str], places: list[str]) -> list[Entry]:
    """The runs that were asked for, those that count first."""
    if not set(WHICH) & set(given):
        there = runs_tagged(store, "vae_lab.kind", "run")
        return [
            Entry(run, run.tags.get("vae_lab.arm", ""), seed_of(run), run.status == "FINISHED", "") for run in there
        ]
    if "experiment" in given:
        found = find_runs(store, read_experiment(given["experiment"], places).study, None)
    else:
        found = find_runs(store, study_of_sweep(store, given["sweep"]), given["sweep"])
    counted = [Entry(run, arm, seed, True, "") for arm, runs in found.counted.items() for seed, run in runs.items()]
    aside = [Entry(one.run, one.arm, one.seed, False, one.why or one.state) for one in found.aside if one.run]
    known = {entry.run.run_id for entry in (*counted, *aside)}
    running = [
        Entry(run, run.tags.get("vae_lab.arm", ""), seed_of(run), False, "it is running")
        for run in found.running
        if run.run_id not in known
    ]
    return counted + running + aside


def seed_of(run: RunRecord) -> int | None:
    """A run's seed; None of one that has logged none yet."""
    return int(run.params["seed"]) if "seed" in run.params else None


def by_run(store: Store, found: list[Entry]) -> pd.DataFrame:
    """A row a run: what it is, the settings in which the runs differ, and its metrics."""
    varied = settings_that_differ([entry.run for entry in found])
    metrics = sorted({key for entry in found for key in entry.run.metrics})
    rows = []
    for run, arm, seed, counts, why in found:
        row: dict[str, Any] = {"run": run.run_id, "name": run.name, "arm": arm, "seed": seed, "status": run.status}
        row |= {"counts": counts, "why": why, "started": pd.Timestamp(run.started, unit="ms"), "seconds": run.seconds}
        row |= {"training": run.tags.get("vae_lab.training"), "evaluation": run.tags.get("vae_lab.evaluation")}
        row |= {key: run.params.get(key) for key in varied}
        rows.append(row | {key: run.metrics.get(key, np.nan) for key in metrics})
    first = ["run", "name", "arm", "seed", "status", "counts", "why", "started", "seconds", "training", "evaluation"]
    return pd.DataFrame(rows, columns=[*first, *varied, *metrics]).astype({"seed": "Int64"})


def settings_that_differ(there: list[RunRecord]) -> list[str]:
    """The settings that are not the same in all runs, but for the seed, places and facts."""
    keys = sorted({key for run in there for key in run.params})
    counted = [key for key in keys if key != "seed" and ".facts." not in key and not key.startswith(PLACES)]
    return [key for key in counted if len({run.params.get(key) for run in there}) > 1]


def by_epoch(store: Store, found: list[Entry]) -> pd.DataFrame:
    """A row a run, metric and epoch."""
    by_id = {entry.run.run_id: entry for entry in found}
    keys = sorted({key for entry in found for key in entry.run.metrics if key.startswith(BY_EPOCH)})
    rows = [
        (run_id, by_id[run_id].arm, by_id[run_id].seed, key, epoch, value)
        for key in keys
        for run_id, history in metric_history(store, list(by_id), key).items()
        for epoch, value in sorted(history.items())
    ]
    return pd.DataFrame(rows, columns=["run", "arm", "seed", "metric", "epoch", "value"]).astype({"seed": "Int64"})


def by_image(store: Store, found: list[Entry]) -> pd.DataFrame:
    """A row a run, split and image, with a column for each quantity, in nats; of the runs that have finished."""
    frames = [pd.DataFrame(columns=["run", "arm", "seed", "split", "image"])]
    with tempfile.TemporaryDirectory() as folder:
        for entry, split in ((entry, split) for entry in found for split in SPLITS if entry.run.status == "FINISHED"):
            values = values_of(store, entry.run, split, Path(folder))
            if values:
                size = len(next(iter(values.values())))
                what = {"run": entry.run.run_id, "arm": entry.arm, "seed": entry.seed, "split": split}
                frames.append(pd.DataFrame({**what, "image": np.arange(size), **values}))
    whole = frames[1:] or frames
    return pd.concat(whole, ignore_index=True).astype({"seed": "Int64"})


def values_of(store: Store, run: RunRecord, split: str, folder: Path) -> dict[str, np.ndarray]:
    """By quantity, the values of each image of a split [N], of those that a run left."""
    path = artifact(store, run, f"evaluation/{split}.npz", folder)
    if path is None:
        return {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile):
        return {}  # not an npz
    return of_one_size(values.items())


def of_one_size(values: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Those arrays that hold a number for each image: as many as the first does."""
    flat = {name: array for name, array in values if array.ndim == 1}
    size = len(next(iter(flat.values()))) if flat else 0
    return {name: array for name, array in flat.items() if len(array) == size}
