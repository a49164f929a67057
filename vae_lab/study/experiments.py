"""The experiment files: what each asks, what it costs, and its jobs by the present code."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vae_lab.config.checks.lookups import check_interpolations
from vae_lab.config.compose import compose_unchecked, plain
from vae_lab.config.composer import Composer
from vae_lab.config.options import command_of, option_file, option_names, read_option
from vae_lab.config.settings import settings_of
from vae_lab.errors import UsageError
from vae_lab.study.code import Sources
from vae_lab.study.expectations import check_metrics
from vae_lab.study.identity import identity_of
from vae_lab.study.plan import plan
from vae_lab.study.study import PlannedJob, Study, make_study, seed_in

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


def read_experiment(name: str, places: Sequence[str] = (), sources: Sources | None = None) -> Experiment:
    """Reads an experiment file, with the identities that its jobs have now.

    Args:
      name: of the file.
      places: overrides that say where things are, such as "data.path=...".
      sources: the code, where it has been read for other experiments.

    Raises:
      UsageError: when there is none of that name, it holds no study, or its data are not there to be identified.
    """
    if name not in experiment_names():
        raise UsageError(
            f"experiment={name} is not in conf/experiment; there are {', '.join(experiment_names())}\n"
            "One that `train` was given by --config-dir is known here within a project: see `vae-lab new`."
        )
    written = read_option("experiment", name)
    check_interpolations(written, ())
    content = plain(written).get("study")
    if content is None:
        raise UsageError(f"experiment={name} has no study, so there is nothing to report")
    composer, sources, jobs = Composer(lambda overrides: compose_unchecked(*overrides)), sources or Sources(), []
    for job in plan(content, {"experiment": [name]}):
        identity = identity_of(settings_of(composer([*job.overrides, *places])), sources)
        jobs.append(PlannedJob(job.arm, seed_in(job.overrides), job.overrides, identity.evaluation, identity))
    check_metrics(content, own=composer([*jobs[0].overrides, *places]).evaluation.metrics)
    cost = COST.search(option_file("experiment", name).read_text(encoding="utf-8"))
    command = f"{command_of('train')} experiment={name}"
    return Experiment(name, make_study(name, content, jobs, command), cost.group(1) if cost else "")
