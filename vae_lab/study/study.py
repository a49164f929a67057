"""A study as a report needs it: its arms, which seeds of them were planned, and what it expects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vae_lab.study.expectations import Claim, read_claims, study_metric
from vae_lab.study.identity import PLACES


@dataclass(frozen=True)
class Study:
    """What was planned.

    Attributes:
      name: of the experiment, or of the sweep.
      question: what it asks; None for a sweep without a study.
      metric: what it is about.
      arms: by arm, the overrides that make a run a run of it, without the seed.
      planned: arm and seed of each job.
      expected: its claims; none where it was run with other settings than its own.
      command: the command that runs it.
      changed: the settings in which it was run otherwise than its file says.
    """

    name: str
    question: str | None
    metric: str
    arms: Mapping[str, frozenset[str]]
    planned: tuple[tuple[str, int], ...]
    expected: tuple[Claim, ...]
    command: str
    changed: tuple[str, ...] = ()


def settings_of(overrides: Iterable[str]) -> frozenset[str]:
    """The overrides that make a configuration what it is, but for the seed."""
    return frozenset(entry for entry in overrides if not entry.startswith(("seed=", *PLACES)))


def seed_in(overrides: Iterable[str]) -> int:
    """The seed that a job's overrides set."""
    return int(next((entry.partition("=")[2] for entry in overrides if entry.startswith("seed=")), "0"))


def make_study(
    name: str, content: Mapping[str, Any] | None, jobs: Iterable[tuple[str, Iterable[str]]], command: str
) -> Study:
    """A study from an experiment file's `study` node, if it has one, and the plan's jobs: arm and overrides of each."""
    arms: dict[str, frozenset[str]] = {}
    planned = []
    for arm, overrides in jobs:
        overrides = list(overrides)
        arms.setdefault(arm, settings_of(overrides))
        planned.append((arm, seed_in(overrides)))
    expected = read_claims(content) if content else ()
    question = (content or {}).get("question")
    return Study(name, question, study_metric(content), arms, tuple(planned), expected, command)
