"""Whether a study's expectations were met."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vae_lab.report.comparison import Runs, compare
from vae_lab.report.statistics import Summary, summarize
from vae_lab.study.expectations import Expectation, value_of

MET, MISSED, NOT_RUN, REFUSED, INCOMPLETE = "met", "missed", "not run", "refused", "incomplete"
BESIDE = "not judged"  # a number from memory


@dataclass(frozen=True)
class Verdict:
    """What came of an expectation.

    Attributes:
      expectation: what was expected.
      state: met, missed, not run, incomplete (some planned seeds are missing), refused or not judged.
      got: over the seeds at hand; None where there are none.
      missed_by: how far `got` lies outside the bounds; 0 inside.
      undecided: whether its 95% interval over seeds holds a bound, so that more seeds may turn the state.
      why: what else there is to say.
    """

    expectation: Expectation
    state: str
    got: Summary | None = None
    missed_by: float = 0.0
    undecided: bool = False
    why: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the expectation: it was met, or it is not judged by."""
        return self.state in (MET, BESIDE)

    def says(self) -> str:
        """The verdict in words."""
        inside = "" if self.got is None else "met" if self.missed_by == 0 else f"missed by {self.missed_by:.3g}"
        if self.state == INCOMPLETE:
            return f"incomplete ({inside} so far)"
        if self.state == BESIDE:
            return f"not judged, from memory{f' ({inside})' if inside else ''}"
        if self.state in (MET, MISSED):
            return f"undecided ({inside} by the mean)" if self.undecided else inside
        return self.state


def judge(expectation: Expectation, runs: Runs, planned: Mapping[str, set[int]]) -> Verdict:
    """Judges an expectation by the finished runs.

    Args:
      expectation: what is expected.
      runs: by arm, by seed: the finished runs.
      planned: by arm, the seeds that the study asks for; an expectation without all of them is incomplete.
    """
    if len(expectation.arms) == 1:
        found = runs.get(expectation.arms[0], {})
        every = {seed: value_of(expectation.metric, found[seed].metrics) for seed in sorted(found)}
        by_seed = {seed: value for seed, value in every.items() if value is not None}
        seeds, values = set(by_seed), list(by_seed.values())
    else:
        arm, reference = expectation.arms
        comparison = compare(runs, arm, reference, expectation.metric, per_image=lambda run: None)
        if comparison.refused and comparison.seeds:
            return Verdict(expectation, REFUSED if expectation.judged else BESIDE, why=comparison.refused)
        seeds, values = set(comparison.seeds), list(comparison.each)
    if not values:
        return Verdict(expectation, NOT_RUN if expectation.judged else BESIDE, why="no finished run has it")
    got = summarize(values)
    outside = [low - got.mean for low in [expectation.low] if low is not None]
    outside += [got.mean - high for high in [expectation.high] if high is not None]
    missed_by = max(0.0, *outside) if not math.isnan(got.mean) else math.inf
    wanted = set().union(*(planned.get(arm, set()) for arm in expectation.arms))
    missing = sorted(wanted - seeds)
    state = MET if missed_by == 0 else MISSED
    if missing:
        state = INCOMPLETE
    notes = [f"no finished run of seed {', '.join(map(str, missing))}"] if missing else []
    held = [bound for bound in (expectation.low, expectation.high) if bound is not None and got.low < bound < got.high]
    if held:
        told = " and ".join(f"{bound:g}" for bound in held)
        notes.append(f"the 95% interval over {got.size} seeds, {got.low:.3g} to {got.high:.3g}, holds {told}")
    return Verdict(expectation, state if expectation.judged else BESIDE, got, missed_by, bool(held), "; ".join(notes))
