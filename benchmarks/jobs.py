"""What a job of a sweep costs beside its training."""

import os
import runpy
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from statistics import median

from benchmarks.workers import Worker

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "train.py"
QUICKSTART = ("experiment=quickstart",)
QUICK = ("-m", "seed=0,1", "encoder.hidden=[16]", "decoder.hidden=[16]", "training.epochs=2")


@dataclass(frozen=True)
class Job:
    """One job, by the times in the store; seconds."""

    name: str
    wall: float  # from the end of the job before it, or the sweep's start, to its own end
    training: float  # its metric perf/training_seconds
    logging: float  # inside the tracked run: MLflow's share


def build():
    """Returns a function that runs a sweep by its overrides, and reads its jobs back from the store."""
    from vae_lab.tracking.run import TrackedRun
    from vae_lab.tracking.store import open_store

    spent: dict[str, float] = defaultdict(float)
    inside = False

    def timed(method):
        @wraps(method)
        def run(self, *arguments, **named):
            nonlocal inside
            if inside:  # a method that another one calls is counted once
                return method(self, *arguments, **named)
            inside, began = True, time.perf_counter()
            try:
                return method(self, *arguments, **named)
            finally:
                inside = False
                spent[self.run_id] += time.perf_counter() - began

        return run

    for name, method in list(vars(TrackedRun).items()):
        if callable(method) and (name in ("__init__", "__exit__") or not name.startswith("_")):
            setattr(TrackedRun, name, timed(method))

    def sweep(overrides):
        with tempfile.TemporaryDirectory() as home:
            os.environ["VAE_LAB_HOME"] = home
            sys.argv = [str(SCRIPT), *overrides]
            runpy.run_path(str(SCRIPT), run_name="__main__")
            store = open_store(f"sqlite:///{home}/outputs/mlflow.db", "vae_lab")
            parent, *jobs = sorted(store.client.search_runs([store.experiment_id]), key=lambda run: run.info.start_time)
            ends = [parent.info.start_time, *(job.info.end_time for job in jobs)]
            return [
                Job(
                    job.info.run_name,
                    (end - before) / 1000,
                    job.data.metrics["perf/training_seconds"],
                    spent[job.info.run_id],
                )
                for job, before, end in zip(jobs, ends[:-1], ends[1:], strict=True)
            ]

    return sweep


def measure(overrides: tuple[str, ...] = QUICKSTART) -> list[Job]:
    """Runs a sweep in a process and a store of its own, and returns its jobs in their order."""
    with Worker("benchmarks.jobs") as worker:
        return worker.turn(overrides).result


def table(jobs: list[Job]) -> str:
    """The jobs as a Markdown table."""
    lines = ["| # | job | wall | training | beside it | of that MLflow |", "|---:|---|---:|---:|---:|---:|"]
    for number, job in enumerate(jobs, 1):
        beside = job.wall - job.training
        lines.append(
            f"| {number} | {job.name} | {job.wall:.2f} s | {job.training:.2f} s | {beside:.2f} s "
            f"| {job.logging:.2f} s ({job.logging / beside:.0%}) |"
        )
    beside, logging = median(job.wall - job.training for job in jobs), median(job.logging for job in jobs)
    what = f"The median job takes {beside:.2f} s beside its training, {logging:.2f} s of them in MLflow."
    return "\n".join([*lines, "", what])
