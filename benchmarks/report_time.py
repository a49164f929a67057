"""What a report over many runs takes, from a sqlite store that is made for it."""

import sqlite3
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.workers import Worker
from vae_lab.report.files import files, write_files
from vae_lab.report.report import gather
from vae_lab.study.study import PlannedJob, Study, make_study
from vae_lab.tracking.database import read_runs
from vae_lab.tracking.store import Store, database_path, open_store

BY_EPOCH = [f"running/{name}" for name in ("loss", "rate", "distortion", "elbo", "bound")]
BY_EPOCH += [f"val/{name}" for name in ("elbo", "rate", "distortion")]
PARAMS = 75  # as many as a run of the quickstart has
NAME = "report_time"


@dataclass(frozen=True)
class Size:
    """How much a report is of."""

    arms: int = 20
    seeds: int = 50
    epochs: int = 100
    images: int = 1000


@dataclass(frozen=True)
class Reported:
    """What one report was of, and what it took."""

    runs: int
    values: int  # by epoch, of all runs
    reading: float  # seconds, of the runs alone
    whole: float  # seconds, of the report with its own reading
    page_bytes: int


def fill(store: Store, folder: Path, size: Size, evaluations: Sequence[str] | None = None) -> Study:
    """Writes arms x seeds finished runs into a store, each with its metrics by epoch and its values by image.

    Args:
      store: it, in a sqlite file.
      folder: for the runs' artifacts.
      size: how many.
      evaluations: the runs' identities, seeds innermost; names where there are none.
    """
    runs, tags, params, metrics, latest, jobs = [], [], [], [], [], []
    draw = np.random.default_rng(0)
    for arm in range(size.arms):
        for seed in range(size.seeds):
            run_id, name = uuid.uuid4().hex, f"arm{arm:02}"
            place = folder / "artifacts" / run_id
            (place / "evaluation").mkdir(parents=True)
            elbo = draw.normal(-90 + 0.1 * arm, 10, size.images)
            np.savez(place / "evaluation" / "test.npz", elbo=elbo)
            now = int(time.time() * 1000)
            evaluation = evaluations[len(jobs)] if evaluations else f"{name}-s{seed}"
            jobs.append(PlannedJob(name, seed, (f"arm={arm}", f"seed={seed}"), evaluation))
            runs.append((run_id, f"{name}-s{seed}", "FINISHED", now, now + 1000, "active", place.as_uri(), 1, "nobody"))
            own = {"vae_lab.experiment": NAME, "vae_lab.arm": name, "vae_lab.evaluation": evaluation}
            own |= {"vae_lab.kind": "run"}
            tags += [(key, text, run_id) for key, text in own.items()]
            tags += [(f"tag{number}", "text", run_id) for number in range(25)]
            params += [("seed", str(seed), run_id), ("arm", str(arm), run_id)]
            params += [(f"part.setting{number}", "value", run_id) for number in range(PARAMS)]
            for key in BY_EPOCH:
                curve = -90 - 100 / np.arange(1, size.epochs + 1) + draw.normal(0, 0.3, size.epochs)
                metrics += [(key, value, now + step, run_id, step, False) for step, value in enumerate(curve, 1)]
                latest.append((key, curve[-1], now, size.epochs, False, run_id))
            final = {"elbo": elbo.mean(), "rate": 25 + draw.normal(), "distortion": 65 + draw.normal()}
            latest += [(f"test/{key}", value, now, size.epochs, False, run_id) for key, value in final.items()]
    path = database_path(store.uri)
    with sqlite3.connect(path) as database:
        columns = "run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id, user_id"
        database.executemany(f"INSERT INTO runs ({columns}) VALUES (?,?,?,?,?,?,?,?,?)", runs)
        database.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?,?,?)", tags)
        database.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?,?,?)", params)
        columns = "key, value, timestamp, run_uuid, step, is_nan"
        database.executemany(f"INSERT INTO metrics ({columns}) VALUES (?,?,?,?,?,?)", metrics)
        columns = "key, value, timestamp, step, is_nan, run_uuid"
        database.executemany(f"INSERT INTO latest_metrics ({columns}) VALUES (?,?,?,?,?,?)", latest)
    return make_study(NAME, {"question": "How long does a report take?"}, jobs, "none")


def build():
    """Returns a function of a size, which makes such a store and reports it."""
    return report


def report(size: Size) -> Reported:
    """Times a report of so many runs."""
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room)
        store = open_store(f"sqlite:///{folder}/mlflow.db", "vae_lab", str(folder / "artifacts"))
        study = fill(store, folder, size)
        began = time.perf_counter()
        found = read_runs(folder / "mlflow.db", "vae_lab.experiment", [NAME])
        read = time.perf_counter()
        page = write_files(files(gather(store, study)), folder / "report")
        ended = time.perf_counter()
        values = len(found) * len(BY_EPOCH) * size.epochs
        return Reported(len(found), values, read - began, ended - read, page.stat().st_size)


def table(size: Size) -> str:
    """Reports so many runs in a process of its own; a Markdown table."""
    with Worker("benchmarks.report_time") as worker:
        done: Reported = worker.turn(size).result
    cells = (
        f"{done.runs:,}",
        f"{done.values:,}",
        f"{done.reading:.2f} s",
        f"{done.whole:.2f} s",
        f"{done.page_bytes / 1e6:.2f} MB",
    )
    lines = ["| runs | values by epoch | reading the runs | whole report | page |", "|---:|---:|---:|---:|---:|"]
    return "\n".join([*lines, f"| {' | '.join(cells)} |"])
