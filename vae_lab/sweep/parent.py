"""The parent run of a sweep: its jobs are its children, its table is its artifact."""

import json
from collections.abc import Sequence
from typing import Any

from vae_lab.report.table import METRICS, Table, table_of
from vae_lab.sweep.plan import Job
from vae_lab.tracking.provenance import provenance
from vae_lab.tracking.records import children
from vae_lab.tracking.run import TrackedRun
from vae_lab.tracking.store import open_store


class SweepRun:
    """The parent run, open while its jobs run.

    Args:
      cfg: the sweep's own configuration.
      name: the parent run's name.
      command: the command line that repeats the sweep.
      jobs: the plan.
    """

    def __init__(self, cfg: Any, name: str, command: str, jobs: Sequence[Job]):
        self.jobs = jobs
        first = [cfg.study.metric] if cfg.study and cfg.study.get("metric") else []
        self.metrics = tuple(dict.fromkeys([*first, *METRICS]))
        self.store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
        question = {"vae_lab.question": cfg.study.question} if cfg.study and cfg.study.get("question") else {}
        tags = {"vae_lab.kind": "sweep", "vae_lab.command": command, **question}
        self.run = TrackedRun(self.store, name, provenance() | tags)
        plan = [{"name": job.name, "arm": job.arm, "overrides": job.overrides} for job in jobs]
        self.run.text(json.dumps(plan, indent=1), "plan.json")

    def table(self) -> Table:
        """The table of the jobs that have finished, arms in the plan's order."""
        arms = list(dict.fromkeys(job.arm for job in self.jobs))
        return table_of(children(self.store, self.run.run_id), arms, self.metrics)

    def close(self, table: Table, finished: int, status: str) -> None:
        """Logs the table and how many jobs finished, and ends the parent run."""
        self.run.text(table.markdown(), "table.md")
        self.run.text(table.csv(), "table.csv")
        self.run.metrics({"sweep/jobs": len(self.jobs), "sweep/finished": finished}, 0)
        self.run.finish(status)
