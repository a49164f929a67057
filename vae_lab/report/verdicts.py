"""Whether a study's expectations were met."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vae_lab.report.comparison import Runs, compare
from vae_lab.report.statistics import ALPHA, Summary, are_counts, p_value, paired, summarize
from vae_lab.study.expectations import Expectation, value_of

MET, MISSED, NOT_RUN, REFUSED, INCOMPLETE = "met", "missed", "not run", "refused", "incomplete"
BESIDE = "not judged"  # a number from memory, or one that decides nothing
# The seeds, what they come to, and the p-values of the two bounds; None for a bound that is none.
Evidence = tuple[set[int], Summary, tuple[float | None, float | None]]


@dataclass(frozen=True)
class Verdict:
    """What came of an expectation.

    Attributes:
      expectation: what was expected.
      state: met, missed, not run, incomplete (some planned seeds are missing), refused or not judged.
      got: over the seeds at hand; None where there are none.
      missed_by: how far `got` lies outside the bounds; 0 inside.
      p: the p-value of the bound that decides: the one it lies beyond, or inside, the nearer one.
      corrected: the same as one of the page's family of differences; of a single arm's value, p itself.
      sequential: whether seeds were added while looking: then a confidence sequence decides, whose interval `got` has,
        and there is no p-value.
      decided_by: by how many seeds that did.
      why: what else there is to say.
    """

    expectation: Expectation
    state: str
    got: Summary | None = None
    missed_by: float = 0.0
    p: float = math.nan
    corrected: float = math.nan
    why: str = ""
    sequential: bool = False
    decided_by: int | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the expectation: it was met, or it is not judged by."""
        return self.state in (MET, BESIDE)

    @property
    def by_one_seed(self) -> bool:
        """Whether it was met or missed by one seed, which cannot decide it."""
        one = self.got is not None and self.got.size == 1
        return self.state in (MET, MISSED) and one and not self.sequential

    @property
    def undecided(self) -> bool:
        """Whether several seeds leave it open, so that more of them may turn the state."""
        decided = self.decided_by is not None if self.sequential else self.corrected <= ALPHA
        return self.state in (MET, MISSED) and not self.by_one_seed and not decided

    @property
    def decided(self) -> bool:
        """Whether it was met or missed by more than the seeds' chance."""
        return self.state in (MET, MISSED) and not self.by_one_seed and not self.undecided

    def says(self) -> str:
        """The verdict in words."""
        inside = "" if self.got is None else "met" if self.missed_by == 0 else f"missed by {self.missed_by:.3g}"
        if self.state == INCOMPLETE:
            return f"incomplete ({inside} so far)"
        if self.state == BESIDE:
            return f"not judged, {self.expectation.shown_only}{f' ({inside})' if inside else ''}"
        if self.state in (MET, MISSED):
            if self.by_one_seed:
                return f"{inside} by one seed" if self.missed_by == 0 else f"{inside}, one seed"
            by_the_mean = f"undecided ({inside} by the mean)"
            told = f"{self.state} by {self.decided_by} seeds" if self.sequential else inside
            return by_the_mean if self.undecided else told
        return self.state

    @property
    def notes(self) -> str:
        """What else there is to say: the missing seeds, and why the seeds do not decide."""
        told = [self.why] if self.why else []
        if self.by_one_seed:
            told.append("one seed has no interval: from the second on there is one, and it decides")
        elif self.undecided and self.got is not None and not (self.sequential and self.why):
            told.append(self._why_open(self.got))
        return "; ".join(told)

    def _why_open(self, got: Summary) -> str:
        if self.sequential:
            return f"the sequence's interval over {got.size} seeds is {got.low:.3g} to {got.high:.3g}"
        if math.isnan(self.p):
            return f"{got.size} seeds without spread have no interval"
        if math.isnan(got.low):
            return f"{got.size} seeds are too few for the exact test of counts"
        one = self.expectation
        held = [f"{bound:g}" for bound in (one.low, one.high) if bound is not None and got.low < bound < got.high]
        if held:
            over = f"the 95% interval over {got.size} seeds, {got.low:.3g} to {got.high:.3g}"
            return f"{over}, holds {' and '.join(held)}"
        return f"p = {self.p:.3f} alone, {self.corrected:.3f} as one of the page's differences"


def judge(expectation: Expectation, runs: Runs, planned: Mapping[str, set[int]]) -> Verdict:
    """Judges an expectation by the finished runs, as if it were the only one of its page.

    Args:
      expectation: what is expected.
      runs: by arm, by seed: the finished runs.
      planned: by arm, the seeds that the study asks for; an expectation without all of them is incomplete.
    """
    evidence = of_arm(expectation, runs) if len(expectation.arms) == 1 else of_difference(expectation, runs)
    if isinstance(evidence, str):
        return Verdict(expectation, REFUSED if expectation.judged else BESIDE, why=evidence)
    if evidence is None:
        return Verdict(expectation, NOT_RUN if expectation.judged else BESIDE, why="no finished run has it")
    seeds, got, p_of = evidence
    below = -math.inf if expectation.low is None else expectation.low - got.mean
    above = -math.inf if expectation.high is None else got.mean - expectation.high
    missed_by = math.inf if math.isnan(got.mean) else max(0.0, below, above)
    # Outside, the bound decides that it lies beyond; inside, both must be left behind.
    if missed_by > 0:
        p = p_of[below < above]
    else:
        p = max((one for one in p_of if one is not None), key=lambda one: math.inf if math.isnan(one) else one)
    wanted = set().union(*(planned.get(arm, set()) for arm in expectation.arms))
    missing = sorted(wanted - seeds)
    state = INCOMPLETE if missing else MET if missed_by == 0 else MISSED
    why = f"no finished run of seed {', '.join(map(str, missing))}" if missing else ""
    p = math.nan if p is None else p
    return Verdict(expectation, state if expectation.judged else BESIDE, got, missed_by, p, p, why)


def of_arm(expectation: Expectation, runs: Runs) -> Evidence | None:
    """What an arm's runs say of a value of theirs."""
    found = runs.get(expectation.arms[0], {})
    every = {seed: value_of(expectation.metric, found[seed].metrics) for seed in sorted(found)}
    by_seed = {seed: value for seed, value in every.items() if value is not None}
    if not by_seed:
        return None
    values = list(by_seed.values())
    got = summarize(values, exact=are_counts(values))
    low, high = (None if end is None else p_value(values, end) for end in (expectation.low, expectation.high))
    return set(by_seed), got, (low, high)


def of_difference(expectation: Expectation, runs: Runs) -> Evidence | str | None:
    """What two arms' runs say of their difference; or why they are not compared."""
    arm, reference = expectation.arms
    comparison = compare(runs, arm, reference, expectation.metric, per_image=lambda run: None)
    if comparison.over_seeds is None:
        return comparison.refused if comparison.seeds else None
    a, b = ([runs[one][seed].metrics[expectation.metric] for seed in comparison.seeds] for one in expectation.arms)
    low, high = (None if end is None else paired(a, b, end).p for end in (expectation.low, expectation.high))
    return set(comparison.seeds), Summary(*comparison.over_seeds[:5]), (low, high)
