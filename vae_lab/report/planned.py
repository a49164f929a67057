"""The study that a sweep was started for, as its parent run tells it."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vae_lab.errors import UsageError
from vae_lab.study.plan import plan
from vae_lab.study.study import PlannedJob, Study, make_study, seed_in, settings_in
from vae_lab.tracking.artifacts import artifact
from vae_lab.tracking.records import read_run
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
            PlannedJob(job["arm"], seed_in(job["overrides"]), tuple(job["overrides"]), job["evaluation"])
            for job in json.loads(path.read_text())
        ]
        content = artifact(store, parent, "study.json", Path(folder))
        study = json.loads(content.read_text()) if content else None
    name = parent.tags.get("vae_lab.experiment", parent.name)
    found = make_study(name, study, jobs, parent.tags.get("vae_lab.command", ""))
    changed = changed_settings(found, study) if study and found.expected else ()
    return replace(found, expected=(), changed=changed) if changed else found


def changed_settings(found: Study, content: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings of a study's jobs that its content does not give to their arms."""
    own: dict[str, set[str]] = {}
    for job in plan(content, {}):
        own.setdefault(job.arm, set()).update(settings_in(job.overrides))
    others = (found.settings(arm) - own.get(arm, set()) for arm in found.arms)
    return tuple(sorted(setting for setting in set().union(*others) if not setting.startswith("experiment=")))
