"""What planning, repeating, watching and reporting many finished jobs takes, from a sqlite store made for it."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report_time import BY_EPOCH, NAME, Size, fill
from benchmarks.workers import Worker
from vae_lab.config.compose import compose_unchecked
from vae_lab.console.watch import shown, standing
from vae_lab.report.files import files, write_files
from vae_lab.report.report import gather
from vae_lab.study.jobs import CheckedJob, checked_plan
from vae_lab.sweep.multirun import come_to
from vae_lab.sweep.parent import SweepRun
from vae_lab.tracking.standing import standings, standings_in
from vae_lab.tracking.store import open_store


@dataclass(frozen=True)
class Looked:
    """How long each look at a sweep of finished jobs took, in seconds."""

    jobs: int
    values: int  # metrics by epoch that a report reads
    plan: float  # composing, checking and identifying every job, and where each stands
    repeat: float  # what a sweep that has nothing to do asks beyond that: its own run, its jobs and their table
    watch: float  # one look
    report: float


def build() -> Callable[[Size], Looked]:
    """Returns a function of a size, which makes such a store and looks at it."""
    return look


def planned(size: Size) -> list[CheckedJob]:
    """The jobs of a study of so many arms and seeds."""
    study = {"arms": {f"arm{arm:02}": {"latent_size": 2 + arm} for arm in range(size.arms)}}
    study |= {"question": "How long does a look take?", "seeds": list(range(size.seeds)), "metric": "test/elbo"}
    return checked_plan(study, {}, lambda overrides: compose_unchecked(*overrides))


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long something takes, and what comes of it."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def repeated(cfg: Any, jobs: Sequence[CheckedJob]) -> SweepRun:
    """Asks the store all that a sweep does which has nothing to do."""
    store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
    parent = SweepRun(cfg, NAME, "", jobs, 0, standings(store, [job.identity for job in jobs]))
    come_to(parent)
    parent.close(parent.table(), len(jobs), "FINISHED")
    return parent


def look(size: Size) -> Looked:
    """Times each look at so many jobs."""
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room)
        cfg = compose_unchecked(
            f"tracking.uri=sqlite:///{folder}/mlflow.db", f"tracking.artifacts={folder}/artifacts", "latent_size=2"
        )
        store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
        composing, jobs = seconds(lambda: planned(size))
        identities = [job.identity for job in jobs]
        study = fill(store, folder, size, [one.evaluation for one in identities])
        asking, found = seconds(lambda: standings_in(cfg.tracking.uri, cfg.tracking.experiment_name, identities))
        assert all(one.done for one in found)
        repeat, parent = seconds(lambda: repeated(cfg, jobs))
        watch, _ = seconds(lambda: shown(standing(store, parent.run.run_id), "test/elbo"))
        report, _ = seconds(lambda: write_files(files(gather(store, study)), folder / "report"))
        values = len(jobs) * len(BY_EPOCH) * size.epochs
        return Looked(len(jobs), values, composing + asking, repeat, watch, report)


def table(size: Size) -> str:
    """Looks at so many jobs in a process of its own; a Markdown table."""
    with Worker("benchmarks.many_jobs") as worker:
        done: Looked = worker.turn(size).result
    cells = (f"{done.jobs:,}", *(f"{value:.2f} s" for value in (done.plan, done.repeat, done.watch, done.report)))
    speed = f"{done.values / done.report:,.0f}"
    lines = ["| jobs | plan | repeat | a look of watch | report | metric rows a second into it |"]
    lines += ["|---:|---:|---:|---:|---:|---:|", f"| {' | '.join([*cells, speed])} |"]
    return "\n".join(lines)
