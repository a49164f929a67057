"""Which runs of the store a study's numbers are of, and what became of all the others."""

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vae_lab.study.identity import PLACES
from vae_lab.study.study import Study, seed_in, settings_of
from vae_lab.tracking.artifacts import artifact
from vae_lab.tracking.records import RunRecord, children, read_run, runs_with_tag
from vae_lab.tracking.store import Store

EXPERIMENT_TAG = "vae_lab.experiment"
COMMIT_TAG = "mlflow.source.git.commit"
MOST_CHANGES = 4  # settings named of a run that has others


@dataclass(frozen=True)
class Aside:
    """A run, or a planned job, that is not in the numbers, and why."""

    arm: str
    seed: int | None
    run: RunRecord | None  # None: never started
    state: str  # the run's status, or "missing"
    why: str


@dataclass(frozen=True)
class StudyRuns:
    """The runs of a study.

    Attributes:
      counted: by arm, by seed: one finished run each.
      running: matching runs that are not over.
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


def started(record: RunRecord) -> str:
    """When a run began, UTC."""
    return datetime.fromtimestamp(record.started / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def seed_of(record: RunRecord) -> int | None:
    """The run's seed; None for a run that failed before it logged its parameters."""
    text = record.params.get("seed", "")
    return int(text) if text.lstrip("-").isdigit() else None


def find_runs(store: Store, study: Study, sweep: str | None = None) -> StudyRuns:
    """Finds a study's runs.

    Args:
      store: where they are tracked.
      study: what was planned.
      sweep: id of a parent run: its own children count before any other run. None: all sweeps of the experiment, of
        which the newest finished run of an arm and seed counts.
    """
    tagged = runs_with_tag(store, EXPERIMENT_TAG, study.name)
    if sweep is not None:
        sweeps = [read_run(store, sweep)]
    else:
        sweeps = [run for run in runs_with_tag(store, "vae_lab.kind", "sweep") if run.name == study.name]
    offspring = [run for parent in sweeps for run in children(store, parent.run_id)]
    own = {run.run_id for run in offspring} if sweep is not None else None
    found = {run.run_id: run for run in [*tagged, *offspring] if run.tags.get("vae_lab.kind") != "sweep"}
    sorted_runs = sort_runs(found.values(), study, sweeps, own)
    others = runs_of_others(store, study, sorted_runs)
    return sort_runs([*found.values(), *others], study, sweeps, own) if others else sorted_runs


def runs_of_others(store: Store, study: Study, runs: StudyRuns) -> list[RunRecord]:
    """Finished runs of other sweeps that are the same as planned jobs without one, under the jobs' arms.

    A sweep does not do such jobs again; its plan holds their identities.
    """
    missing = {(arm, seed) for arm, seed in study.planned if seed not in runs.counted[arm]}
    found = []
    for sweep in reversed(runs.sweeps):
        if not missing:
            break
        for job in read_plan(store, sweep):
            arm, seed = job["arm"], seed_in(job["overrides"])
            if (arm, seed) not in missing or settings_of(job["overrides"]) != study.arms[arm]:
                continue
            same = runs_with_tag(store, "vae_lab.evaluation", job["evaluation"])
            if finished := [run for run in same if run.status == "FINISHED"]:
                tags = {key: value for key, value in finished[-1].tags.items() if key != "vae_lab.overrides"}
                found.append(replace(finished[-1], tags=tags | {"vae_lab.arm": arm}))
                missing.remove((arm, seed))
    return found


def read_plan(store: Store, sweep: RunRecord) -> list[dict[str, Any]]:
    """The jobs that a sweep planned: arm, overrides and identity of each; none of a search."""
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(store, sweep, "plan.json", Path(folder))
        return [] if path is None else json.loads(path.read_text())


def sort_runs(
    records: Iterable[RunRecord], study: Study, sweeps: Sequence[RunRecord] = (), own: set[str] | None = None
) -> StudyRuns:
    """Says of each run whether it counts, and why not.

    Args:
      records: runs that carry the study's name.
      study: what was planned.
      sweeps: its parent runs.
      own: ids of a sweep's own runs. Others then count only where the sweep used them again, and are not listed.
    """
    newest_first = sorted(records, key=lambda run: (own is None or run.run_id in own, run.started), reverse=True)
    counted: dict[str, dict[int, RunRecord]] = {arm: {} for arm in study.arms}
    running: list[RunRecord] = []
    aside: list[Aside] = []
    for run in newest_first:
        arm, seed = run.tags.get("vae_lab.arm", "default"), seed_of(run)

        why = why_aside(run, study, counted)
        if why is None and seed is not None:
            counted[arm][seed] = run
        elif own is None or run.run_id in own:
            aside.append(Aside(arm, seed, run, run.status, why or "has no seed"))
            if run.status == "RUNNING" and other_settings(run, study) is None:
                running.append(run)
    begun = {(run.tags.get("vae_lab.arm", "default"), seed_of(run)) for run in running}
    for arm, seed in study.planned:
        if seed not in counted[arm] and (arm, seed) not in begun:
            aside.append(Aside(arm, seed, None, "missing", "no finished run"))
    aside.sort(key=lambda one: (list(study.arms).index(one.arm) if one.arm in study.arms else len(study.arms), one.arm))
    return StudyRuns(counted, running, aside, doubts(counted), sorted(sweeps, key=lambda run: run.started))


def why_aside(run: RunRecord, study: Study, counted: dict[str, dict[int, RunRecord]]) -> str | None:
    """Why a run does not count beside those that count already; None where it counts."""
    if changed := other_settings(run, study):
        return changed
    if run.status == "RUNNING":
        return "not over"
    if run.status != "FINISHED":
        return run.tags.get("vae_lab.error", "stopped before its end")
    of_arm, seed = counted[run.tags.get("vae_lab.arm", "default")], seed_of(run)
    if seed in of_arm:
        return f"{of_arm[seed].run_id[:8]} of the same seed is newer"
    newest = next(iter(of_arm.values()), None)
    if newest is not None and group(run) != group(newest):
        return f"stale: {difference_of(run, newest)} than {newest.run_id[:8]} of the same arm"
    return None


def other_settings(run: RunRecord, study: Study) -> str | None:
    """Why a run is of none of the study's arms; None where it is of one."""
    arm = run.tags.get("vae_lab.arm", "default")
    if arm not in study.arms:
        return "its arm is none of the study's"
    if "vae_lab.overrides" not in run.tags:
        return None
    has, must = settings_of(json.loads(run.tags["vae_lab.overrides"])), study.arms[arm]
    more, less = sorted(has - must), sorted(must - has)
    if not more and not less:
        return None
    return f"other settings: {', '.join(more or [f'not {entry}' for entry in less])}"


def group(run: RunRecord) -> tuple[str | None, ...]:
    """What the runs of one arm share: settings, data, code's numerics; and how they were evaluated."""
    evaluated = (run.params.get(f"evaluation.{key}") for key in ("importance_samples", "samples", "seed"))
    return (run.tags.get("vae_lab.group"), run.tags.get("vae_lab.numerics"), *evaluated)


def changes(a: RunRecord, b: RunRecord) -> list[str]:
    """Parameters in which two runs differ, but for the seed and for places."""
    keys = [key for key in a.params | b.params if key != "seed" and not key.startswith(PLACES) and ".facts." not in key]
    return sorted(key for key in keys if a.params.get(key) != b.params.get(key))


def difference_of(run: RunRecord, newer: RunRecord) -> str:
    """What an older run has otherwise, in words."""
    if changed := changes(run, newer):
        named = [f"{key}={run.params.get(key, 'none')}" for key in changed[:MOST_CHANGES]]
        more = f" and {len(changed) - MOST_CHANGES} more" if len(changed) > MOST_CHANGES else ""
        return f"other settings ({', '.join(named)}{more})"
    if run.tags.get("vae_lab.data_sha256") != newer.tags.get("vae_lab.data_sha256"):
        return "other data"
    return "another version of the numerics or another compilation"


def doubts(counted: dict[str, dict[int, RunRecord]]) -> list[str]:
    """What a reader should know of runs that count."""
    runs = [run for by_seed in counted.values() for run in by_seed.values()]
    if not runs:
        return []
    newest = max(runs, key=lambda run: run.started)
    notes = []
    for tag, what, width in (
        (COMMIT_TAG, "commit", 12),
        ("vae_lab.numerics", "numerics version", 12),
        ("machine.kind", "machine", 60),
    ):
        other = [run for run in runs if run.tags.get(tag) != newest.tags.get(tag)]
        if other:
            names = ", ".join(sorted({run.tags.get(tag, "none")[:width] for run in other}))
            listed = ", ".join(run.name for run in other[:6]) + (", ..." if len(other) > 6 else "")
            have = "has" if len(other) == 1 else "have"
            notes.append(
                f"{len(other)} of {len(runs)} runs {have} another {what} ({names}) than the newest "
                f"({newest.tags.get(tag, 'none')[:40]}): {listed}"
            )
    if evaluated := sum(run.trained_by != run.run_id for run in runs):
        notes.append(
            f"{evaluated} of {len(runs)} runs evaluate weights that other runs trained, whose time is not counted here"
        )
    if dirty := sum(run.tags.get("git.dirty") == "true" for run in runs):
        notes.append(f"{dirty} of {len(runs)} runs are of a checkout with changes that no commit holds")
    return notes
