"""The study that a sweep was started for, as its parent run tells it."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vae_lab.errors import UsageError
from vae_lab.study.plan import plan
from vae_lab.study.study import PlannedJob, Study, make_study, seed_in, settings_in
from vae_lab.tracking.artifacts import artifact
from vae_lab.tracking.records import read_run, runs_with_tag
from vae_lab.tracking.store import Store


def study_of_sweep(store: Store, run_id: str) -> Study:
    """The study of a parent run, as it was then: its jobs have the identities that they had.

    What a study expects is of its own settings: in short form, or changed on the command line, it expects nothing.

    Raises:
      UsageError: when the run is no sweep.
    """
    parent = read_run(store, run_id)
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(store, parent, "plan.json", Path(folder))
        if path is None:
            raise UsageError(f"sweep={run_id} is not the parent run of a sweep; name one, or experiment=NAME")
        jobs = [
            PlannedJob(
                job["arm"],
                seed_in(job["overrides"]),
                tuple(job["overrides"]),
                job["evaluation"],
                added=job.get("added", False),
            )
            for job in json.loads(path.read_text())
        ]
        content = artifact(store, parent, "study.json", Path(folder))
        study = json.loads(content.read_text()) if content else None
    name = parent.tags.get("vae_lab.experiment", parent.name)
    found = make_study(name, study, jobs, parent.tags.get("vae_lab.command", ""))
    changed = changed_settings(found, study) if study and found.expected else ()
    return replace(found, expected=(), changed=changed) if changed else found


def with_added(store: Store, study: Study) -> Study:
    """The study with the seeds that were added to its arms, as these are now."""
    if "=" in study.name:  # of no experiment: it is called by what it sweeps, and no seeds are added to it
        return study
    first = {job.evaluation: job for job in reversed(study.jobs) if not job.added}
    runs = [
        run for run in runs_with_tag(store, added_tag(study.name), *first) if run.experiment_id == store.experiment_id
    ]
    there, added = {(job.arm, job.seed) for job in study.jobs}, []
    for run in sorted(runs, key=lambda run: int(run.params.get("seed", 0))):
        beside = first[run.tags[added_tag(study.name)]]
        seed = int(run.params.get("seed", 0))
        if (beside.arm, seed) not in there and "seed" in run.params:
            there.add((beside.arm, seed))
            overrides = with_seed(beside.overrides, seed)
            added.append(PlannedJob(beside.arm, seed, overrides, run.tags["vae_lab.evaluation"], added=True))
    return replace(study, jobs=(*study.jobs, *added), sequential=bool(runs) or any(job.added for job in study.jobs))


def added_tag(name: str) -> str:
    """The tag of a run that was added to a study of that name; its value is the evaluation of a planned run beside it.

    So a run that is added to one study is no seed of another that has the same arm, and one that was added to an arm as
    it was before is none of the arm as it is now.
    """
    return f"vae_lab.added.{name}"


def with_seed(overrides: Iterable[str], seed: int) -> tuple[str, ...]:
    """A job's overrides with another seed."""
    return (*(entry for entry in overrides if not entry.startswith("seed=")), f"seed={seed}")


def changed_settings(found: Study, content: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings of a study's jobs that its content does not give to their arms."""
    own: dict[str, set[str]] = {}
    for job in plan(content, {}):
        own.setdefault(job.arm, set()).update(settings_in(job.overrides))
    others = (found.settings(arm) - own.get(arm, set()) for arm in found.arms)
    return tuple(sorted(setting for setting in set().union(*others) if not setting.startswith("experiment=")))
