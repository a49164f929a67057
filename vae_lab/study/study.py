"""A study as a report needs it: its arms, the jobs that were planned of them, and what it expects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vae_lab.study.expectations import Expectation, read_expectations, smallest_effect, study_metric
from vae_lab.study.identity import PLACES, Identity


@dataclass(frozen=True)
class PlannedJob:
    """A job of a study: what its run is known by.

    Attributes:
      arm, seed: which it is.
      overrides: that make it.
      evaluation: identity of its numbers.
      identity: the same as content; None of a plan that was read back, which holds digests alone.
      added: whether it was not planned, but added by sweep.until=decided.
    """

    arm: str
    seed: int
    overrides: tuple[str, ...]
    evaluation: str
    identity: Identity | None = None
    added: bool = False


@dataclass(frozen=True)
class Study:
    """What was planned.

    Attributes:
      name: of the experiment, or of the sweep.
      question: what it asks; None for a sweep without a study.
      metric: what it is about.
      jobs: all of them, in the plan's order.
      expected: its expectations; none where it was run with other settings than its own.
      command: the command that runs it.
      changed: the settings in which it was run otherwise than its file says.
      smallest_effect: the smallest difference of the metric that is of interest; None where the study names none.
      kind: published, ablation or system, for the table of all results; empty where it says nothing of it.
      sequential: whether seeds were added to it while they were looked at, so that only a confidence sequence decides.
    """

    name: str
    question: str | None
    metric: str
    jobs: tuple[PlannedJob, ...]
    expected: tuple[Expectation, ...]
    command: str
    changed: tuple[str, ...] = ()
    smallest_effect: float | None = None
    kind: str = ""
    sequential: bool = False

    @property
    def arms(self) -> list[str]:
        """The arms, in order."""
        return list(dict.fromkeys(job.arm for job in self.jobs))

    def settings(self, arm: str) -> frozenset[str]:
        """The overrides that make a run a run of an arm, without the seed."""
        return settings_in(next(job.overrides for job in self.jobs if job.arm == arm))

    @property
    def seeds(self) -> dict[str, set[int]]:
        """By arm, the seeds that were planned, without those that were added."""
        return {arm: {job.seed for job in self.jobs if job.arm == arm and not job.added} for arm in self.arms}


def settings_in(overrides: Iterable[str]) -> frozenset[str]:
    """The overrides that make a configuration what it is, but for the seed."""
    return frozenset(entry for entry in overrides if not entry.startswith(("seed=", *PLACES)))


def seed_in(overrides: Iterable[str]) -> int:
    """The seed that a job's overrides set."""
    return int(next((entry.partition("=")[2] for entry in overrides if entry.startswith("seed=")), "0"))


def make_study(name: str, content: Mapping[str, Any] | None, jobs: Iterable[PlannedJob], command: str) -> Study:
    """A study from an experiment file's `study` node, if it has one, and the plan's jobs."""
    expected = read_expectations(content) if content else ()
    question = (content or {}).get("question")
    effect = smallest_effect(content)
    metric, kind = study_metric(content), str((content or {}).get("kind", ""))
    return Study(name, question, metric, tuple(jobs), expected, command, smallest_effect=effect, kind=kind)
