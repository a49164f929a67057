"""Where a sweep stands, from the tracking store alone: no process of it is asked."""

import json
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table as ScreenTable

from vae_lab.errors import UsageError
from vae_lab.report.format import clock
from vae_lab.tracking.artifacts import fetch_artifact
from vae_lab.tracking.heartbeat import is_alive_here
from vae_lab.tracking.newest import Newest
from vae_lab.tracking.records import RunRecord, read_run, runs_tagged
from vae_lab.tracking.store import Store

KINDS = ("done", "running", "failed", "killed", "left")


@dataclass(frozen=True)
class SweepStanding:
    """A sweep's run, and of each job of its plan what it has come to."""

    sweep: RunRecord
    jobs: list[tuple[dict[str, Any], RunRecord | None]]

    def count(self) -> dict[str, int]:
        """How many jobs are done, running, failed, killed, and not begun."""
        words = {"FINISHED": "done", "RUNNING": "running", "FAILED": "failed", "KILLED": "killed"}
        found = [words[record.status] if record else "left" for _, record in self.jobs]
        return {kind: found.count(kind) for kind in KINDS}

    def best(self, metric: str) -> tuple[str, float] | None:
        """The finished job with the highest metric, and that."""
        values = [
            (job["name"], record.metrics[metric])
            for job, record in self.jobs
            if record and record.status == "FINISHED" and metric in record.metrics
        ]
        return max(values, key=lambda entry: entry[1], default=None)

    def seconds_left(self) -> float | None:
        """What the jobs that are not done will take, by the mean of those that are and by how many run at once."""
        done = [record.seconds for _, record in self.jobs if record and record.status == "FINISHED"]
        running = [record.seconds for _, record in self.jobs if record and record.status == "RUNNING"]
        if not done:
            return None
        mean, count = sum(done) / len(done), self.count()
        rest = mean * (count["left"] + count["killed"]) + sum(max(0.0, mean - seconds) for seconds in running)
        return rest / max(1, len(running))


def newest_sweep(store: Store) -> str:
    """The id of the sweep that was started last; searches, which have no plan, are passed over.

    Raises:
      UsageError: when the store holds none.
    """
    sweeps = [run for run in runs_tagged(store, "vae_lab.kind", "sweep") if "vae_lab.search" not in run.tags]
    if not sweeps:
        raise UsageError(f"{store.uri} holds no sweep; name another tracking.uri or tracking.experiment_name")
    return sweeps[-1].run_id


class Watched:
    """A sweep that is looked at again and again.

    Raises:
      UsageError: when there is no such sweep, or it is a search.
    """

    def __init__(self, store: Store, sweep: str):
        self.store, self.sweep, self.newest = store, sweep, Newest(store)
        if "vae_lab.search" in read_run(store, sweep).tags:
            raise UsageError(f"sweep={sweep} is a search; its command with sweep.plan=true shows the trials so far")

    def look(self) -> SweepStanding:
        """Where it stands now, by the plan that it has now."""
        sweep = read_run(self.store, self.sweep)  # first: where it is over, so are the jobs
        with tempfile.TemporaryDirectory() as folder:
            plan = json.loads(fetch_artifact(self.store, self.sweep, "plan.json", folder).read_text())
        there = self.newest.of([job["evaluation"] for job in plan])
        return SweepStanding(sweep, [(job, there[job["evaluation"]]) for job in plan])


def standing(store: Store, sweep: str) -> SweepStanding:
    """Where a sweep stands, looked at once."""
    return Watched(store, sweep).look()


def shown(now: SweepStanding, metric: str) -> Group:
    """The standing: its sums, then the jobs that run or were cut off."""
    count = now.count()
    title = f"{now.sweep.name}  {now.sweep.status}  " + "  ".join(f"{n} {kind}" for kind, n in count.items() if n)
    if (best := now.best(metric)) is not None:
        title += f"\nbest {metric} {best[1]:.2f}  {best[0]}"
    if count["done"] < len(now.jobs) and (left := now.seconds_left()) is not None:
        title += f"\nabout {clock(left)} left"
    table = ScreenTable("job", "state", "for", "val/elbo")
    for job, record in now.jobs:
        if record is None and job.get("why"):
            table.add_row(job["name"], f"left: {job['why']}", "", "")
        if record and record.status != "FINISHED":
            elbo = f"{record.metrics['val/elbo']:.2f}" if "val/elbo" in record.metrics else ""
            quiet = time.time() - float(record.tags.get("vae_lab.heartbeat", time.time()))
            state = record.tags.get("vae_lab.error", record.status.lower())[:80]
            if record.status == "RUNNING" and is_alive_here(record.tags) is False:
                state = "cut off: its process is gone, and the same command goes on with it"
            elif record.status == "RUNNING" and quiet > 120:
                state += f" (silent for {clock(quiet)})"
            table.add_row(job["name"], state, clock(record.seconds), elbo)
    return Group(title, table) if table.row_count else Group(title)


def is_over(now: SweepStanding) -> bool:
    """Whether nothing will change any more."""
    return now.sweep.status != "RUNNING"
