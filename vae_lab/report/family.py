"""The family of a page: all differences that it tests, corrected together, in the table and as claims.

A claim that is a difference at 0 of an arm and the reference is a row of the table once more, and counts once. One of
other arms, another metric or another bound is a test of its own. Values of a single arm are judged by their own
intervals, and what is shown and not judged is not tested.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from vae_lab.report.comparison import Comparison
from vae_lab.report.statistics import ALPHA, holm, seeds_needed
from vae_lab.report.verdicts import Verdict

Key = tuple[frozenset[str], str, tuple[float | None, float | None]]


def key_of_row(one: Comparison, metric: str) -> Key:
    """What a row of the table tests."""
    return frozenset((one.arm, one.reference)), metric, (0.0, None)


def key_of_claim(verdict: Verdict) -> Key:
    """What a claim tests: at one bound of 0, whichever arm comes first and whichever side it is on, the same."""
    claim = verdict.expectation
    bounds = (0.0, None) if (claim.low, claim.high) in ((0, None), (None, 0)) else (claim.low, claim.high)
    arms = frozenset(claim.arms) if bounds == (0.0, None) else frozenset(("-".join(claim.arms),))
    return arms, claim.metric, bounds


def is_tested(verdict: Verdict) -> bool:
    """Whether a verdict is by a test of the family."""
    return verdict.expectation.judged and len(verdict.expectation.arms) == 2


def p_values(comparisons: Sequence[Comparison], verdicts: Sequence[Verdict], metric: str) -> dict[Key, float]:
    """The family: each difference that is tested once, with its p-value; without one it is no test."""
    claims = {key_of_claim(one): one.p for one in verdicts if is_tested(one)}
    rows = {key_of_row(one, metric): one.over_seeds.p for one in comparisons if one.over_seeds is not None}
    return {key: p for key, p in (rows | claims | rows).items() if not math.isnan(p)}


def as_family(
    comparisons: Sequence[Comparison], verdicts: Sequence[Verdict], metric: str, effect: float | None
) -> tuple[list[Comparison], list[Verdict]]:
    """Corrects the differences of a page together, and tells how many seeds find the study's smallest effect so.

    Args:
      comparisons: the rows of the table, by the study's metric.
      verdicts: on all claims.
      metric: the study's.
      effect: its smallest effect of interest; without one no number of seeds is told.
    """
    family = p_values(comparisons, verdicts, metric)
    corrected = dict(zip(family, holm(list(family.values())), strict=True))
    level = ALPHA / max(1, len(family))  # of Holm's first step, that each test can count on
    rows = []
    for one in comparisons:
        needed = seeds_needed(one.over_seeds, effect, level) if one.over_seeds is not None and effect else None
        rows.append(replace(one, seeds_holm=corrected.get(key_of_row(one, metric), math.nan), needed=needed))
    return rows, [
        replace(one, corrected=corrected.get(key_of_claim(one), math.nan)) if is_tested(one) else one
        for one in verdicts
    ]
