"""Which seeds come next while claims are open. Pure: the same runs ask for the same seeds.

An arm goes on while a claim that it is in is open. With `drop: lost`, an arm has lost when of the claims that it
makes (of its value, or of itself minus another) one is decided and all that are decided are missed: its other claims
then stay open, and end. To stop looking early, for any reason, adds no error to a confidence sequence; it only decides
less. As the reference of another arm's open claim it goes on, since that claim has lost nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vae_lab.report.comparison import Runs
from vae_lab.report.sequential import Course, courses_of
from vae_lab.report.verdicts import MISSED
from vae_lab.study.study import Study


@dataclass(frozen=True)
class Rule:
    """When no more seeds are added.

    Attributes:
      max_seeds: how many an arm gets at most, the study's own included.
      budget_hours: of run time of all counted runs, beyond which no further seed is begun; None: no such limit.
      drop_lost: whether an arm that has lost ends.
    """

    max_seeds: int
    budget_hours: float | None = None
    drop_lost: bool = False


@dataclass(frozen=True)
class Round:
    """What comes next: a seed of some arms, or why nothing does."""

    courses: tuple[Course, ...]  # as they stand before it
    seed: int | None
    arms: tuple[str, ...]
    seconds: float  # what it costs, as the arms' finished runs took
    asked: tuple[tuple[str, int], ...]  # all arms and seeds that the rounds before asked for
    ended: str = ""


def arms_wanted(study: Study, courses: Sequence[Course], drop_lost: bool) -> list[str]:
    """The arms that an open claim needs, in the study's order."""
    lost = {arm for arm in study.arms if drop_lost and has_lost(arm, courses)}
    wanted = {
        arm for one in courses if one.is_open and one.expectation.arms[0] not in lost for arm in one.expectation.arms
    }
    return [arm for arm in study.arms if arm in wanted]


def has_lost(arm: str, courses: Sequence[Course]) -> bool:
    """Whether of the claims that an arm makes one is decided, and all that are decided are missed."""
    own = [one.decision for one in courses if one.expectation.arms[0] == arm]
    decided = [decision[0] for decision in own if decision is not None]
    return bool(decided) and set(decided) == {MISSED}


def next_round(study: Study, runs: Runs, rule: Rule, failed: Mapping[str, set[int]] | None = None) -> Round:
    """What the rule asks for, given what is there.

    It goes through all rounds from the study's own seeds on, each by the runs of the rounds before it. So a sweep that
    was killed asks for the same seeds again, and what is done of them stands.

    Args:
      study: its planned seeds come first.
      runs: by arm, by seed: finished runs, of whatever seeds; those that no round asks for are not looked at.
      rule: when to stop.
      failed: by arm, added seeds that were tried and have no finished run; they are passed over.
    """
    planned, failed = study.seeds, failed or {}
    there = {arm: {seed: run for seed, run in runs.get(arm, {}).items() if seed in planned[arm]} for arm in study.arms}
    asked: list[tuple[str, int]] = []
    for seed in added_seeds(study, rule):
        courses = courses_of(study, there)
        arms = arms_wanted(study, courses, rule.drop_lost)
        if not arms:
            ended = "an arm that has lost was dropped" if any(one.is_open for one in courses) else "all is decided"
            return Round(courses, None, (), 0.0, tuple(asked), ended)
        seconds = sum(_mean_seconds(there, arm) for arm in arms)
        spent = sum(run.seconds for by_seed in there.values() for run in by_seed.values())
        if rule.budget_hours is not None and spent + seconds > 3600 * rule.budget_hours:
            return Round(
                courses, None, (), 0.0, tuple(asked), f"sweep.budget_hours={rule.budget_hours:g} would be passed"
            )
        left = [arm for arm in arms if seed not in runs.get(arm, {}) and seed not in failed.get(arm, ())]
        if left:
            return Round(courses, seed, tuple(left), sum(_mean_seconds(there, arm) for arm in left), tuple(asked))
        asked += [(arm, seed) for arm in arms]
        for arm in arms:
            if seed in runs.get(arm, {}):
                there[arm][seed] = runs[arm][seed]
    courses = courses_of(study, there)
    wanted = arms_wanted(study, courses, rule.drop_lost)
    return Round(
        courses,
        None,
        (),
        0.0,
        tuple(asked),
        f"sweep.max_seeds={rule.max_seeds} is reached" if wanted else "all is decided",
    )


def added_seeds(study: Study, rule: Rule) -> Iterator[int]:
    """The seeds that may be added, in order: those after the largest planned one."""
    planned = set().union(*study.seeds.values())
    return iter(range(max(planned) + 1, max(planned) + 1 + max(0, rule.max_seeds - len(planned))))


def _mean_seconds(runs: Runs, arm: str) -> float:
    """How long a run of an arm takes, as its finished ones did; of an arm without any, as those of all arms did."""
    took = [run.seconds for run in runs[arm].values()]
    took = took or [run.seconds for by_seed in runs.values() for run in by_seed.values()]
    return sum(took) / len(took) if took else 0.0
