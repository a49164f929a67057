"""What a report over many runs takes, from a sqlite store that is made for it."""

import itertools
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy

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


def fill(
    store: Store, folder: Path, size: Size, evaluations: Sequence[str] | None = None, database: str | None = None
) -> Study:
    """Writes arms x seeds finished runs into a store, each with its metrics by epoch and its values by image.

    Args:
      store: it.
      folder: for the runs' artifacts, which go into its `artifacts`.
      size: how many.
      evaluations: the runs' identities, seeds innermost; names where there are none.
      database: its address, where the store's own is that of a server which serves these artifacts.
    """
    jobs, draw, began = [], np.random.default_rng(0), int(time.time() * 1000)
    if database is None:  # of any name, also one that is no address
        engine = sqlalchemy.create_engine(sqlalchemy.URL.create("sqlite", database=str(database_path(store.uri))))
    else:
        engine = sqlalchemy.create_engine(database)
    with engine.begin() as connection:
        for arm, seed in itertools.product(range(size.arms), range(size.seeds)):
            name, run_id = f"arm{arm:02}", uuid.uuid4().hex
            evaluation = evaluations[len(jobs)] if evaluations else f"{name}-s{seed}"
            jobs.append(PlannedJob(name, seed, (f"arm={arm}", f"seed={seed}"), evaluation))
            elbo = draw.normal(-90 + 0.1 * arm, 10, size.images)
            place = folder / "artifacts" / run_id
            (place / "evaluation").mkdir(parents=True)
            np.savez(place / "evaluation" / "test.npz", elbo=elbo)
            ended = began - 60_000 * (size.arms * size.seeds - len(jobs))  # one a minute
            about = {"experiment_id": int(store.experiment_id), "name": f"{name}-s{seed}", "end_time": ended}
            about["artifact_uri"] = place.as_uri() if database is None else f"mlflow-artifacts:/{run_id}"
            tags = {"vae_lab.experiment": NAME, "vae_lab.arm": name, "vae_lab.evaluation": evaluation}
            settings = {"seed": str(seed), "arm": str(arm)}
            for table, rows in rows_of_run(about, tags, settings, elbo.mean(), size.epochs, draw).items():
                columns = [sqlalchemy.column(key) for key in ("run_uuid", *rows[0])]
                insert = sqlalchemy.table(table, *columns).insert()
                connection.execute(insert, [{"run_uuid": run_id, **row} for row in rows])
    engine.dispose()
    return make_study(NAME, {"question": "How long does a report take?"}, jobs, "none")


def rows_of_run(
    about: dict[str, Any],
    tags: dict[str, str],
    settings: dict[str, str],
    elbo: float,
    epochs: int,
    draw: np.random.Generator,
) -> dict[str, list[dict[str, Any]]]:
    """What a finished run is in MLflow's tables, by their names."""
    now = about["end_time"] - 1000
    about = about | {"status": "FINISHED", "start_time": now}
    tags = tags | {"vae_lab.kind": "run"} | {f"tag{number}": "text" for number in range(25)}
    settings = settings | {f"part.setting{number}": "value" for number in range(PARAMS)}
    curves = {key: -90 - 100 / np.arange(1, epochs + 1) + draw.normal(0, 0.3, epochs) for key in BY_EPOCH}
    final = {key: curve[-1] for key, curve in curves.items()}
    final |= {"test/elbo": elbo, "test/rate": 25 + draw.normal(), "test/distortion": 65 + draw.normal()}

    def row(key: str, value: float, step: int) -> dict[str, Any]:
        return {"key": key, "value": float(value), "timestamp": now + step, "step": step, "is_nan": False}

    return {
        "runs": [about | {"lifecycle_stage": "active", "user_id": "nobody"}],
        "tags": [{"key": key, "value": text} for key, text in tags.items()],
        "params": [{"key": key, "value": text} for key, text in settings.items()],
        "metrics": [row(key, value, step) for key, curve in curves.items() for step, value in enumerate(curve, 1)],
        "latest_metrics": [row(key, value, epochs) for key, value in final.items()],
    }


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
