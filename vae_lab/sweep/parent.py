"""The parent run of a sweep: its jobs are its children, its table is its artifact."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vae_lab.config.compose import plain
from vae_lab.report.table import METRICS, Table, table_of
from vae_lab.study.identity import digest_of
from vae_lab.study.jobs import CheckedJob
from vae_lab.tracking.artifacts import PLANNED_CODE
from vae_lab.tracking.environment import environment
from vae_lab.tracking.records import RunRecord, newest_of, runs_tagged
from vae_lab.tracking.standing import Standing
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun

PLAN_TAG = "vae_lab.plan"
LONGEST_NAME = 100


def plan_hash(jobs: Sequence[CheckedJob]) -> str:
    """What makes two sweeps the same sweep: the identities of their jobs, under the same names."""
    return digest_of(sorted([job.name, job.identity.evaluation] for job in jobs))


def swept(jobs: Sequence[Sequence[str]]) -> str:
    """A sweep's name by what its jobs, each by its overrides, do not share; by their seeds where that is all.

    >>> swept([["prior=mvn", "seed=0"], ["prior=mixture", "seed=0"], ["prior=mvn", "seed=1"]])
    'prior=mvn,mixture'
    """
    values: dict[str, dict[str, None]] = {}
    for key, _, value in (override.partition("=") for overrides in jobs for override in overrides):
        values.setdefault(key.lstrip("+"), {})[value] = None
    several = {key: list(found) for key, found in values.items() if len(found) > 1}
    named = {key: found for key, found in several.items() if key != "seed"} or several
    words = [f"{key}={','.join(found)}" for key, found in named.items()]
    if len(" ".join(words)) > LONGEST_NAME:
        words = [f"{key}={found[0]},...,{found[-1]}" for key, found in named.items()]
    name = " ".join(words)
    return (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}...") or "sweep"


class SweepRun:
    """The parent run, open while its jobs run. A sweep that is started again goes on in the one it had.

    Args:
      cfg: the sweep's own configuration.
      experiment: the experiment file's name, where there is one: the run's name too, which else says what is swept.
      command: the command line that repeats the sweep.
      jobs: the plan.
      began: when the sweep did, in seconds since 1970.
      standings: what the jobs have come to before.
    """

    def __init__(
        self,
        cfg: Any,
        experiment: str | None,
        command: str,
        jobs: Sequence[CheckedJob],
        began: int,
        standings: Sequence[Standing],
    ):
        self.jobs, self.added = list(jobs), list[CheckedJob]()
        self.why = {job.name: one.why() for job, one in zip(jobs, standings, strict=True)}
        self.only_since = began if cfg.sweep.repeat == "all" else 0
        first = [cfg.study.metric] if cfg.study and cfg.study.get("metric") else []
        self.metrics = tuple(dict.fromkeys([*first, *METRICS]))
        self.store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
        tags = {"vae_lab.kind": "sweep", "vae_lab.command": command}
        if experiment:
            tags["vae_lab.experiment"] = experiment
        if cfg.study and cfg.study.get("question"):
            tags["vae_lab.question"] = cfg.study.question
        tags[PLAN_TAG] = plan_hash(jobs)
        before = runs_tagged(self.store, PLAN_TAG, tags[PLAN_TAG]) if cfg.sweep.repeat == "missing" else []
        self.run = TrackedRun(
            self.store,
            experiment or swept([job.overrides for job in jobs]),
            environment() | tags,
            run_id=before[-1].run_id if before else None,
        )
        self.write_plan()
        code = {path: digest for job in jobs for path, digest in job.identity.code.items()}
        self.run.text(json.dumps(code, indent=1), PLANNED_CODE)
        if cfg.study:
            self.run.text(json.dumps(plain(cfg.study), indent=1), "study.json")

    def write_plan(self) -> None:
        """Logs the jobs as plan.json."""
        plan = [
            {
                "name": job.name,
                "arm": job.arm,
                "overrides": job.overrides,
                "evaluation": job.identity.evaluation,
                "training": job.identity.training,
                "why": self.why.get(job.name, ""),
            }
            | ({"added": True} if job in self.added else {})
            for job in self.jobs
        ]
        self.run.text(json.dumps(plan, indent=1), "plan.json")

    def add(self, jobs: Sequence[CheckedJob]) -> None:
        """Takes jobs in that were not planned: those of them that it has not."""
        there = {job.identity.evaluation for job in self.jobs}
        if new := [job for job in jobs if job.identity.evaluation not in there]:
            self.added += new
            self.jobs += new
            self.write_plan()

    def records(self) -> list[RunRecord]:
        """The runs that the jobs have come to, under the jobs' own arms, in the plan's order.

        Where all is repeated these are runs of this start alone.
        """
        there = newest_of(self.store, [job.identity.evaluation for job in self.jobs], self.only_since)
        found = [(job, there[job.identity.evaluation]) for job in self.jobs]
        return [replace(record, tags=record.tags | {"vae_lab.arm": job.arm}) for job, record in found if record]

    def table(self) -> Table:
        """The table of the jobs that have finished, arms in the plan's order."""
        return table_of(self.records(), list(dict.fromkeys(job.arm for job in self.jobs)), self.metrics)

    def close(self, table: Table, finished: int, status: str) -> None:
        """Logs the table and how many jobs finished, and ends the parent run."""
        self.run.text(table.markdown(), "table.md")
        self.run.text(table.csv(), "table.csv")
        self.run.tag({"vae_lab.jobs": str(len(self.jobs)), "vae_lab.jobs_finished": str(finished)})
        self.run.finish(status)
