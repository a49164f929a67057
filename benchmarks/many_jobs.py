"""What planning, repeating, watching and reporting many finished jobs takes, from a store made for it.

In a sqlite file; and, where PostgreSQL's programs and psycopg are, over a server on PostgreSQL.
"""

import getpass
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report_time import BY_EPOCH, NAME, Size, fill
from benchmarks.server import free_port, tracking_server
from benchmarks.workers import BrokenWorker, Worker
from vae_lab.config.compose import compose_unchecked
from vae_lab.console.watch import Watched, shown
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
    watch: float  # the first look
    again: float  # the next one
    report: float


def build(kind: str) -> Callable[[Size], Looked]:
    """Returns a function of a size, which makes a store of one of the KINDS and looks at it."""
    return KINDS[kind]


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
    """Times each look at so many jobs in a sqlite store."""
    with tempfile.TemporaryDirectory() as room:
        cfg = compose_unchecked(
            f"tracking.uri=sqlite:///{room}/mlflow.db", f"tracking.artifacts={room}/artifacts", "latent_size=2"
        )
        return look_at(cfg, Path(room), size)


def look_over_server(size: Size) -> Looked:
    """Times each look at so many jobs in a server's store, the server on this machine.

    Raises:
      BrokenServer: where it could not be started.
    """
    with tempfile.TemporaryDirectory(prefix="vae_lab-") as room:  # a short path, for PostgreSQL's socket
        Path(room).chmod(0o755)  # root's PostgreSQL is another user
        port = free_port()
        with tracking_server(Path(room), port):
            cfg = compose_unchecked(f"tracking.uri=http://127.0.0.1:{port}", "latent_size=2")
            database = f"postgresql+psycopg://{getpass.getuser()}@/mlflow?host={room}/postgres"
            return look_at(cfg, Path(room), size, database)


def look_at(cfg: Any, folder: Path, size: Size, database: str | None = None) -> Looked:
    """Fills a store with so many jobs and times each look at them; `database` is its address behind a server."""
    store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
    composing, jobs = seconds(lambda: planned(size))
    identities = [job.identity for job in jobs]
    study = fill(store, folder, size, [one.evaluation for one in identities], database)
    asking, found = seconds(lambda: standings_in(cfg.tracking.uri, cfg.tracking.experiment_name, identities))
    assert all(one.done for one in found)
    repeat, parent = seconds(lambda: repeated(cfg, jobs))
    watched = Watched(store, parent.run.run_id)
    watch, again = (seconds(lambda: shown(watched.look(), "test/elbo"))[0] for _ in range(2))
    report, _ = seconds(lambda: write_files(files(gather(store, study)), folder / "report"))
    values = len(jobs) * len(BY_EPOCH) * size.epochs
    return Looked(len(jobs), values, composing + asking, repeat, watch, again, report)


KINDS = {"sqlite": look, "server on PostgreSQL": look_over_server}


def table(size: Size) -> str:
    """Looks at so many jobs in each kind of store, each in a process of its own; a Markdown table."""
    lines = ["| store | jobs | plan | repeat | watch | its next look | report | metric rows a second into it |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    for kind in KINDS:
        try:
            with Worker("benchmarks.many_jobs", kind) as worker:
                done: Looked = worker.turn(size).result
        except BrokenWorker as error:
            if "BrokenServer" not in str(error):
                raise
            why = str(error).strip().splitlines()[-1].partition("BrokenServer: ")[2]
            lines.append(f"| {kind} | not measured: {why} | | | | | | |")
            continue
        took = (done.plan, done.repeat, done.watch, done.again, done.report)
        cells = (kind, f"{done.jobs:,}", *(f"{value:.2f} s" for value in took), f"{done.values / done.report:,.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Size()))
