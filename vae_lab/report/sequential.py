"""Claims judged while seeds are added: each by its confidence sequence.

The family is the study's judged claims, m of them, and each interval is of level 1 - 0.05/m: with probability 0.95 none
of them ever misses its mean, at any number of seeds, so that whatever is decided, whenever that was, all of it is right
together (Bonferroni, which asks nothing of when one stops or of how claims depend on each other). A claim is met at the
first number of seeds at which its interval lies inside its bounds, and missed at the first at which it lies beyond one;
that stands, and what comes later does not take it back.

A metric of known range, such as the number of active units, goes by the sequence for bounded values.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vae_lab.report.bounded_sequence import OutOfRange, bounds_after_each
from vae_lab.report.comparison import Comparison, Runs, compare
from vae_lab.report.confidence_sequence import bounds
from vae_lab.report.metric_range import UnknownRange, metric_range
from vae_lab.report.statistics import ALPHA
from vae_lab.report.table import csv_table
from vae_lab.report.verdicts import MET, MISSED, Verdict
from vae_lab.study.expectations import Expectation, value_of
from vae_lab.study.study import Study


class _Refused(Exception):
    """Why a claim's values are no sequence."""


@dataclass(frozen=True)
class Step:
    """A claim after so many seeds: the newest seed, the values' mean and the interval."""

    seed: int
    value: float
    mean: float
    low: float  # -inf: no bound yet
    high: float


@dataclass(frozen=True)
class Course:
    """How a claim went, seed by seed.

    Attributes:
      expectation: the claim.
      alpha: the chance, over all numbers of seeds, that its interval misses its mean.
      steps: one a seed, in the order of seeds.
      refused: why there is none; empty where there is one.
    """

    expectation: Expectation
    alpha: float
    steps: tuple[Step, ...]
    refused: str = ""

    @property
    def decision(self) -> tuple[str, int] | None:
        """Met or missed, and by how many seeds; None while it is open."""
        for count, step in enumerate(self.steps, 1):
            if state := _decides(self.expectation, step.low, step.high):
                return state, count
        return None

    @property
    def is_open(self) -> bool:
        """Whether more seeds could decide it."""
        return not self.refused and self.decision is None

    @property
    def last(self) -> Step | None:
        """Where it stands."""
        return self.steps[-1] if self.steps else None


def claims(study: Study) -> list[Expectation]:
    """The study's claims that the rule decides."""
    return [one for one in study.expected if one.judged]


def courses_of(study: Study, runs: Runs) -> tuple[Course, ...]:
    """The course of each claim over the runs at hand, by arm and seed."""
    family = claims(study)
    return tuple(_course(one, runs, ALPHA / len(family)) for one in family)


def _course(claim: Expectation, runs: Runs, alpha: float) -> Course:
    try:
        by_seed, scale = _stream(claim, runs)
        seeds = sorted(by_seed)
        values = [by_seed[seed] for seed in seeds]
        between = range_of_values(claim, runs)
        if between is None:
            intervals = [bounds(values[:count], alpha, scale) for count in range(1, len(values) + 1)]
        else:
            intervals = bounds_after_each(values, alpha, *between)
    except (_Refused, UnknownRange, OutOfRange) as why:
        return Course(claim, alpha, (), str(why))
    steps = [
        Step(seed, values[index], math.fsum(values[: index + 1]) / (index + 1), *intervals[index])
        for index, seed in enumerate(seeds)
    ]
    return Course(claim, alpha, tuple(steps))


def range_of_values(claim: Expectation, runs: Runs) -> tuple[float, float] | None:
    """Between what the values of a claim must lie; None where there is no such bound, or no run."""
    found = [
        metric_range(claim.metric, run.params) for arm in claim.arms for run in list(runs.get(arm, {}).values())[:1]
    ]
    ranges = [one for one in found if one is not None]
    if len(ranges) < len(claim.arms):
        return None
    (low, high), *of_reference = ranges
    for least, most in of_reference:
        low, high = low - most, high - least
    return low, high


def _decides(claim: Expectation, low: float, high: float) -> str | None:
    """Met or missed, by an interval; None for neither."""
    if (claim.low is not None and high < claim.low) or (claim.high is not None and low > claim.high):
        return MISSED
    return MET if (claim.low is None or low >= claim.low) and (claim.high is None or high <= claim.high) else None


def _stream(claim: Expectation, runs: Runs) -> tuple[dict[int, float], float]:
    """A claim's values by seed, and the size of what they are made of."""
    if len(claim.arms) == 1:
        found = {seed: value_of(claim.metric, run.metrics) for seed, run in runs.get(claim.arms[0], {}).items()}
        by_seed = {seed: value for seed, value in found.items() if value is not None}
        if not all(math.isfinite(value) for value in by_seed.values()):
            raise _Refused(f"a value of {claim.metric} is not finite")
        return by_seed, max(map(abs, by_seed.values()), default=0.0)
    arm, reference = claim.arms
    comparison = compare(runs, arm, reference, claim.metric, per_image=lambda run: None)
    if comparison.refused and comparison.seeds:
        raise _Refused(comparison.refused)
    sizes = [abs(runs[arm][seed].metrics[claim.metric]) for arm in claim.arms for seed in comparison.seeds]
    return dict(zip(comparison.seeds, comparison.each, strict=True)), max(sizes, default=0.0)


def judge_by(courses: Sequence[Course], verdict: Verdict) -> Verdict:
    """A verdict as the confidence sequences have it, without p-values."""
    claim, got = verdict.expectation, verdict.got
    if not claim.judged or got is None:
        return verdict
    course = next((one for one in courses if one.expectation == claim), None)
    why = "" if course is None else course.refused
    last, decision = (None, None) if course is None else (course.last, course.decision)
    low, high = (last.low, last.high) if last is not None else (math.nan, math.nan)
    by_the_mean = MET if verdict.missed_by == 0 else MISSED
    return replace(
        verdict,
        state=by_the_mean if decision is None else decision[0],
        got=got._replace(low=low, high=high),
        p=math.nan,
        corrected=math.nan,
        why="; ".join(filter(None, (verdict.why, why))),
        sequential=True,
        decided_by=None if decision is None else decision[1],
    )


def without_p(one: Comparison) -> Comparison:
    """A comparison without the p-values over seeds, which hold for a number of seeds that was fixed before looking."""
    over_seeds = None if one.over_seeds is None else one.over_seeds._replace(p=math.nan)
    return replace(one, over_seeds=over_seeds, seeds_holm=math.nan, needed=None)


def courses_csv(courses: Sequence[Course]) -> str:
    """Each claim's values, means and intervals after each seed, at full precision."""
    header = ["arms", "metric", "bound low", "bound high", "alpha", "seeds", "seed", "value", "mean", "low", "high"]
    rows = []
    for one in courses:
        claim = one.expectation
        about = [" - ".join(claim.arms), claim.metric, claim.low, claim.high, one.alpha]
        for count, step in enumerate(one.steps, 1):
            state = one.decision[0] if one.decision is not None and count >= one.decision[1] else "open"
            rows.append([*about, count, step.seed, step.value, step.mean, step.low, step.high, state])
    return csv_table([*header, "state"], rows)
