"""Which runs of the store a study's numbers are of, by identity alone; and what became of all the others."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from vae_lab.study.identity import Identity, differences, listed
from vae_lab.study.study import PlannedJob, Study
from vae_lab.tracking.artifacts import identity_of_run
from vae_lab.tracking.environment import DIRTY, OWN_DIRTY, TOLD
from vae_lab.tracking.records import (
    ADOPTED_CODE,
    STOPPED_IN_WARMUP,
    RunRecord,
    children,
    read_run,
    runs_of,
    runs_tagged,
)
from vae_lab.tracking.store import Store

EXPERIMENT_TAG = "vae_lab.experiment"
MOST_NAMES = 6  # of runs that a note lists


@dataclass(frozen=True)
class Aside:
    """A run, or a planned job, that is not in the numbers, and why."""

    arm: str
    seed: int | None
    run: RunRecord | None  # None: never started
    state: str  # the run's status, stale, or missing
    why: str


@dataclass(frozen=True)
class StudyRuns:
    """The runs of a study.

    Attributes:
      counted: by arm, by seed: one finished run each.
      running: runs of planned jobs that are not over.
      aside: everything else.
      notes: what makes counted runs doubtful, such as another commit.
      sweeps: the parent runs, newest last.
    """

    counted: dict[str, dict[int, RunRecord]]
    running: list[RunRecord]
    aside: list[Aside]
    notes: list[str]
    sweeps: list[RunRecord]

    @property
    def all(self) -> list[RunRecord]:
        """The counted runs, arm by arm and seed by seed."""
        return [runs[seed] for runs in self.counted.values() for seed in sorted(runs)]

    @property
    def lost(self) -> dict[str, list[int]]:
        """By arm, the planned seeds that failed or diverged and have no finished run: its numbers are of the others."""
        lost: dict[str, set[int]] = {}
        for one in self.aside:
            if one.state == "FAILED" and one.seed is not None and one.seed not in self.counted.get(one.arm, {}):
                lost.setdefault(one.arm, set()).add(one.seed)
        return {arm: sorted(seeds) for arm, seeds in lost.items()}


def started(record: RunRecord) -> str:
    """When a run began, UTC."""
    return datetime.fromtimestamp(record.started / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def seed_of(record: RunRecord) -> int | None:
    """The run's seed; None for a run that failed before it logged its parameters."""
    text = record.params.get("seed", "")
    return int(text) if text.lstrip("-").isdigit() else None


def find_runs(store: Store, study: Study, sweep: str | None = None) -> StudyRuns:
    """Finds a study's runs.

    A finished run counts where its identity is a planned job's, or it was adopted for that; the newest of several.

    Args:
      store: where they are tracked: those of its MLflow experiment are looked at.
      study: what was planned.
      sweep: id of a parent run: its own children count before others, and no others are listed. None: all runs that
        were started for the experiment are accounted for.
    """
    if sweep is not None:
        sweeps = [read_run(store, sweep)]
        store = replace(store, experiment_id=sweeps[0].experiment_id)
        started_for = own = children(store, sweep)
    else:
        sweeps = [run for run in runs_tagged(store, "vae_lab.kind", "sweep") if run.name == study.name]
        started_for, own = runs_tagged(store, EXPERIMENT_TAG, study.name), []
    of_job = runs_of(store, "vae_lab.evaluation", [job.evaluation for job in study.jobs])
    counted: dict[str, dict[int, RunRecord]] = {arm: {} for arm in study.arms}
    running, aside = [], []
    own_ids = {run.run_id for run in own}
    for job in study.jobs:
        runs = sorted(of_job[job.evaluation], key=lambda run: (run.run_id in own_ids, run.started))
        finished = [run for run in runs if run.status == "FINISHED"]
        if finished:
            tags = finished[-1].tags | {"vae_lab.arm": job.arm}
            counted[job.arm][job.seed] = replace(finished[-1], tags=tags)
        listed_runs = runs if sweep is None else [run for run in runs if run.run_id in own_ids]
        for run in listed_runs:
            if not finished or run.run_id != finished[-1].run_id:
                aside.append(Aside(job.arm, job.seed, run, run.status, why_aside(run, finished)))
        if not finished:
            running += [run for run in runs if run.status == "RUNNING"]
            if not any(run.status == "RUNNING" for run in runs):
                aside.append(Aside(job.arm, job.seed, None, "missing", "no finished run"))
    planned = {run.run_id for runs in of_job.values() for run in runs}
    others = [run for run in started_for if run.run_id not in planned and run.tags.get("vae_lab.kind") == "run"]
    aside += stale_runs(store, study, counted, others)
    aside.sort(key=lambda one: (study.arms.index(one.arm) if one.arm in study.arms else len(study.arms), one.arm))
    return StudyRuns(counted, running, aside, doubts(counted), sorted(sweeps, key=lambda run: run.started))


def why_aside(run: RunRecord, finished: Sequence[RunRecord]) -> str:
    """Why a run of a planned job does not count."""
    if run.status == "RUNNING":
        return "not over"
    if run.status != "FINISHED":
        return run.tags.get("vae_lab.error", "stopped before its end")
    return f"{finished[-1].run_id[:8]} of the same seed is newer"


def stale_runs(
    store: Store, study: Study, counted: Mapping[str, Mapping[int, RunRecord]], others: Iterable[RunRecord]
) -> list[Aside]:
    """Runs that were started for the study and are of another identity, each with what differs."""
    found, known = [], {(job.arm, job.seed): job for job in study.jobs}
    with tempfile.TemporaryDirectory() as folder:
        for run in others:
            arm, seed = run.tags.get("vae_lab.arm", "default"), seed_of(run)
            now = identity_now(store, known.get((arm, seed or 0)), counted.get(arm, {}), Path(folder))
            before = identity_of_run(store, run, Path(folder))
            if arm not in study.arms:
                why = "its arm is none of the study's"
            elif before is None or now is None:
                why = "nothing tells what it was the result of" if before is None else "not planned"
            else:
                why = listed(differences(before, now)) or "not planned"
            found.append(Aside(arm, seed, run, "stale", why))
    return found


def identity_now(
    store: Store, job: PlannedJob | None, of_arm: Mapping[int, RunRecord], folder: Path
) -> Identity | None:
    """What a run would have to be of to count: the job's identity, or that of a counted run of its arm."""
    if job is not None and job.identity is not None:
        return job.identity
    return next((one for run in of_arm.values() if (one := identity_of_run(store, run, folder))), None)


def doubts(counted: Mapping[str, Mapping[int, RunRecord]]) -> list[str]:
    """What a reader should know of runs that count."""
    runs = [run for by_seed in counted.values() for run in by_seed.values()]
    if not runs:
        return []
    newest = max(runs, key=lambda run: run.started)
    notes = []
    for tag, what in TOLD.items():
        other = [run for run in runs if run.tags.get(tag) != newest.tags.get(tag)]
        if other:
            names = ", ".join(sorted({run.tags.get(tag, "none")[:40] for run in other}))
            listed_runs = ", ".join(run.name for run in other[:MOST_NAMES]) + ", ..." * (len(other) > MOST_NAMES)
            notes.append(
                f"{len(other)} of {len(runs)} runs {'has' if len(other) == 1 else 'have'} another {what} ({names}) "
                f"than the newest ({newest.tags.get(tag, 'none')[:40]}): {listed_runs}"
            )
    if adopted := [run for run in runs if ADOPTED_CODE in run.tags]:
        files = ", ".join(sorted({run.tags[ADOPTED_CODE] for run in adopted}))
        notes.append(
            f"{len(adopted)} of {len(runs)} runs were made by other code ({files}) and adopted by sweep.accept=code"
        )
    if stopped := [run for run in runs if STOPPED_IN_WARMUP in run.tags]:
        names = ", ".join(run.name for run in stopped[:MOST_NAMES]) + ", ..." * (len(stopped) > MOST_NAMES)
        notes.append(f"{len(stopped)} of {len(runs)} runs stopped early, within the warm-up of their KL: {names}")
    if evaluated := sum(run.trained_by != run.run_id for run in runs):
        notes.append(
            f"{evaluated} of {len(runs)} runs evaluate weights that other runs trained, whose time is not counted here"
        )
    if dirty := sum(run.tags.get(DIRTY) == "true" for run in runs):
        notes.append(f"{dirty} of {len(runs)} runs are of a checkout with changes that no commit holds")
    if dirty := sum(run.tags.get(OWN_DIRTY) == "true" for run in runs):
        notes.append(f"{dirty} of {len(runs)} runs are of a project with changes that no commit holds")
    return notes
