"""The jobs of a sweep, each composed, checked and identified before the first one starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vae_lab.config.checks import check
from vae_lab.config.composer import Compose, Composer
from vae_lab.config.overrides import check_overrides
from vae_lab.config.settings import settings_of
from vae_lab.errors import UsageError
from vae_lab.study.code import Sources
from vae_lab.study.expectations import check_metrics
from vae_lab.study.identity import Identity, identity_of
from vae_lab.study.plan import Job, plan
from vae_lab.study.structure import training_structure


@dataclass(frozen=True)
class CheckedJob(Job):
    """A job that can run, with what its numbers are the result of and the program that it needs."""

    identity: Identity
    structure: str  # equal for jobs that share compiled programs
    epochs: int


def checked_plan(
    study: Mapping[str, Any] | None, given: Mapping[str, Sequence[str]], compose: Compose
) -> list[CheckedJob]:
    """The jobs of a sweep, each composed and checked.

    Raises:
      UsageError: naming the first job that cannot run, or two that would be the same run.
    """
    jobs = plan(study, given)
    sources, composer = Sources(), Composer(compose)
    checked: dict[str, CheckedJob] = {}
    for job in jobs:
        try:
            one = checked_job(job, composer, sources)
        except UsageError as error:
            raise UsageError(f"{error}\n(in job {job.name}, one of {len(jobs)}; nothing has been started)") from None
        if (same := checked.setdefault(one.identity.evaluation, one)) is not one:
            raise UsageError(
                f"jobs {same.name} and {job.name} are the same run: nothing in their settings differs, in the study's "
                "file or by what the command line has overridden; let them differ, or leave one out"
            )
    if study is not None and jobs:
        check_metrics(study, own=composer(jobs[0].overrides).evaluation.metrics)
    return list(checked.values())


def checked_job(job: Job, composer: Composer, sources: Sources) -> CheckedJob:
    """A job, composed, checked and identified.

    Raises:
      UsageError: where it cannot run.
    """
    cfg = composer(job.overrides)
    check_overrides(job.overrides, cfg)
    check(cfg)
    settings = settings_of(cfg)
    return CheckedJob(
        job.arm,
        job.name,
        job.overrides,
        identity_of(settings, sources),
        training_structure(settings),
        settings.training.epochs,
    )
