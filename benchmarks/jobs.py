"""What a job of a sweep costs beside its training."""

import os
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import wraps
from statistics import mean, median

from benchmarks.workers import Worker

QUICKSTART = ("experiment=quickstart",)
QUICK = ("-m", "seed=0,1", "encoder.hidden=[16]", "decoder.hidden=[16]", "training.epochs=2")


@dataclass(frozen=True)
class Job:
    """One job; times in seconds."""

    name: str
    arm: str
    wall: float  # by the store: from the end of the job before it, or the sweep's start, to its own end
    training: float  # every epoch as long as the median one after the first
    compiling: float  # what the epochs took beyond that: tracing and compiling, which the first one waits for
    logging: float  # inside the tracked run: MLflow's share
    memory: float  # the most that the process has held so far, 10^6 bytes

    @property
    def beside(self) -> float:
        """Neither training nor compiling it: the job's start, pictures, evaluation and logging."""
        return self.wall - self.training - self.compiling


def build():
    """Returns a function that runs a sweep by its overrides, and reads its jobs back from the store."""
    from vae_lab.commands.train import train
    from vae_lab.console.progress import Progress
    from vae_lab.tracking.store import open_store
    from vae_lab.tracking.tracked_run import TrackedRun

    spent: dict[str, float] = defaultdict(float)
    epochs: dict[int, list[float]] = defaultdict(list)  # seconds of each, by the job's place in the sweep
    inside = False
    show = Progress.__call__

    def noted(self, result, metrics):
        if result.complete:
            epochs[self.number].append(result.seconds)
        show(self, result, metrics)

    # Each epoch is told to it; and unlike the modules that train, it can be had without TensorFlow, whose import the
    # first job has to pay.
    Progress.__call__ = noted

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
            train(list(overrides))
            store = open_store(f"sqlite:///{home}/outputs/mlflow.db", "vae_lab")
            parent, *jobs = sorted(store.client.search_runs([store.experiment_id]), key=lambda run: run.info.start_time)
            ends = [parent.info.start_time, *(job.info.end_time for job in jobs)]
            return [
                Job(
                    name=job.info.run_name,
                    arm=job.data.tags["vae_lab.arm"],
                    wall=(end - before) / 1000,
                    training=(training := median(epochs[number][1:]) * len(epochs[number])),
                    compiling=sum(epochs[number]) - training,
                    logging=spent[job.info.run_id],
                    memory=job.data.metrics["perf/peak_memory_mb"],
                )
                for number, (job, before, end) in enumerate(zip(jobs, ends[:-1], ends[1:], strict=True))
            ]

    return sweep


def measure(overrides: tuple[str, ...] = QUICKSTART) -> list[Job]:
    """Runs a sweep in a process and a store of its own, and returns its jobs in their order."""
    with Worker("benchmarks.jobs") as worker:
        return worker.turn(overrides).result


def table(jobs: list[Job]) -> str:
    """The jobs as a Markdown table, and in words what the jobs after the first cost beside their training."""
    lines = [
        "| # | job | wall | training | compiling | beside them | of that MLflow | memory |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for number, job in enumerate(jobs, 1):
        lines.append(
            f"| {number} | {job.name} | {job.wall:.2f} s | {job.training:.2f} s | {job.compiling:z.2f} s "
            f"| {job.beside:.2f} s | {job.logging:.2f} s ({job.logging / job.beside:.0%}) | {job.memory:,.0f} MB |"
        )
    later = jobs[1:]
    beside = [job.beside for job in later]
    whole = [job.compiling + job.beside for job in later]
    again = [job.compiling + job.beside for job in compiled_before(jobs)]
    what = (
        f"After the first, a job's median beside training and compiling is {median(beside):.2f} s, "
        f"{median(job.logging for job in later):.2f} s of them in MLflow, and its highest {max(beside):.2f} s. With "
        f"compiling, the median where the arm had been compiled before ({len(again)} of {len(whole)}) is "
        f"{median(again):.2f} s, and the mean of all {mean(whole):.2f} s."
    )
    return "\n".join([*lines, "", what])


def compiled_before(jobs: list[Job]) -> list[Job]:
    """The jobs whose arm has had one already: an arm's seeds share what is compiled."""
    return [job for number, job in enumerate(jobs) if job.arm in {before.arm for before in jobs[:number]}]
