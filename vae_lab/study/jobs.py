"""The jobs of a sweep, each composed, checked and identified before the first one starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf

from vae_lab.config.checks import check
from vae_lab.config.compose import plain
from vae_lab.config.overrides import check_overrides
from vae_lab.errors import UsageError
from vae_lab.study.identity import hashes_of, training_structure
from vae_lab.study.plan import Job, plan


@dataclass(frozen=True)
class CheckedJob(Job):
    """A job that can run, with what identifies its result and the program that it needs."""

    evaluation: str  # as the tag vae_lab.evaluation of its run
    structure: str  # equal for jobs that share compiled programs
    epochs: int


def without_hydra(cfg: Any) -> Any:
    """A composed configuration without Hydra's own node."""
    return OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"])


def checked_plan(
    study: Mapping[str, Any] | None,
    given: Mapping[str, Sequence[str]],
    compose: Callable[[Sequence[str]], Any],
) -> list[CheckedJob]:
    """The jobs of a sweep, each composed and checked.

    Raises:
      UsageError: naming the first job that cannot run, or two that would be the same run.
    """
    jobs = plan(study, given)
    checked: dict[str, CheckedJob] = {}
    for job in jobs:
        try:
            one = checked_job(job, compose)
        except UsageError as error:
            raise UsageError(f"{error}\n(in job {job.name}, one of {len(jobs)}; nothing has been started)") from None
        if one.evaluation in checked:
            raise UsageError(
                f"jobs {checked[one.evaluation].name} and {job.name} are the same run; an option on the command line "
                "has overridden what made them differ"
            )
        checked[one.evaluation] = one
    return list(checked.values())


def checked_job(job: Job, compose: Callable[[Sequence[str]], Any]) -> CheckedJob:
    """A job, composed and checked.

    Raises:
      UsageError: where it cannot run.
    """
    try:
        cfg = compose(job.overrides)
    except HydraException as error:
        raise UsageError(str(error)) from None
    check_overrides(job.overrides, cfg)
    check(cfg)
    content = plain(without_hydra(cfg))
    identity = hashes_of(content)["vae_lab.evaluation"]
    epochs = content["training"]["epochs"]
    return CheckedJob(job.arm, job.name, job.overrides, identity, training_structure(content), epochs)
