"""The experiment files: what each asks, what it costs, and the study that a report is about."""

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vae_lab.config.compose import CONF, option_names, plain, read_option
from vae_lab.errors import UsageError
from vae_lab.study.plan import plan
from vae_lab.study.study import Study, make_study
from vae_lab.tracking.artifacts import artifact
from vae_lab.tracking.records import read_run
from vae_lab.tracking.store import Store

COST = re.compile(r"^# *Cost: *(.*?)(?:\.(?= |$)|$)", re.MULTILINE)


@dataclass(frozen=True)
class Experiment:
    """An experiment file."""

    name: str
    study: Study
    cost: str  # as its header states it; empty where it states none


def experiment_names() -> list[str]:
    """Names of all experiment files."""
    return option_names("experiment")


def read_experiment(name: str) -> Experiment:
    """Reads an experiment file.

    Raises:
      UsageError: when there is none of that name, or it holds no study.
    """
    if name not in experiment_names():
        raise UsageError(f"experiment={name} is not in conf/experiment; there are {', '.join(experiment_names())}")
    content = plain(read_option("experiment", name)).get("study")
    if content is None:
        raise UsageError(f"experiment={name} has no study, so there is nothing to report")
    jobs = [(job.arm, job.overrides) for job in plan(content, {"experiment": [name]})]
    cost = COST.search((CONF / "experiment" / f"{name}.yaml").read_text(encoding="utf-8"))
    command = f"python scripts/train.py experiment={name}"
    return Experiment(name, make_study(name, content, jobs, command), cost.group(1) if cost else "")


def study_of_sweep(store: Store, run_id: str) -> Study:
    """The study that a parent run was started for, as it was then.

    What a study expects is of its own settings: in short form, or changed on the command line, it expects nothing.

    Raises:
      UsageError: when the run is no sweep.
    """
    parent = read_run(store, run_id)
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(store, parent, "plan.json", Path(folder))
        if path is None:
            raise UsageError(f"sweep={run_id} is not the parent run of a sweep; name one, or experiment=NAME")
        jobs = [(job["arm"], job["overrides"]) for job in json.loads(path.read_text())]
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
        own.setdefault(job.arm, set()).update(job.overrides)
    return tuple(
        sorted(
            setting
            for setting in set().union(*(settings - own.get(arm, set()) for arm, settings in found.arms.items()))
            if not setting.startswith("experiment=")
        )
    )
