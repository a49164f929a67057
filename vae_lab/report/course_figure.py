"""The plot of a claim's interval over the number of seeds."""

import math

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure

from vae_lab.report.figures import STYLE, WIDTH, colour, draw
from vae_lab.report.sequential import Course

MARGIN = 0.08  # of the range that is shown


def course(one: Course, place: int) -> str:
    """A claim's values, mean and interval after each seed, its bounds, and where it was decided.

    Args:
      one: the claim's course, of one seed at least.
      place: which of the page's it is.
    """
    claim, counts = one.expectation, np.arange(1, len(one.steps) + 1)
    low, high = shown_range(one)
    look = colour(0)  # whatever the arm: the bounds are green
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, 2.4), layout="constrained")
        axes = figure.add_subplot()
        axes.axhspan(
            low if claim.low is None else claim.low,
            high if claim.high is None else claim.high,
            color="#009E73", alpha=0.08, linewidth=0,
        )  # fmt: skip
        ends = np.clip([[step.low, step.high] for step in one.steps], low, high).T
        axes.fill_between(counts, *ends, color=look, alpha=0.25, linewidth=0)
        axes.plot(counts, [step.mean for step in one.steps], color=look, linewidth=1.4)
        axes.plot(counts, [step.value for step in one.steps], "o", color=look, markersize=4, markerfacecolor="white")
        if one.decision is not None:
            axes.axvline(one.decision[1], color="#555555", linewidth=1, linestyle="--")
        axes.set(xlim=(0.7, max(2, len(counts)) + 0.3), ylim=(low, high))
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.set_xlabel("seeds")
        axes.set_ylabel(claim.metric if len(claim.arms) == 1 else f"{claim.metric}, difference")
        return draw(figure, f"sequence-{place}", f"Interval of {claim.subject} over the number of seeds")


def shown_range(one: Course) -> tuple[float, float]:
    """Limits that hold every value and bound, and the narrowest interval; the first ones are far wider."""
    points = [step.value for step in one.steps]
    points += [end for end in (one.expectation.low, one.expectation.high) if end is not None]
    finite = [step for step in one.steps if math.isfinite(step.high - step.low)]
    if finite:
        narrowest = min(finite, key=lambda step: step.high - step.low)
        points += [narrowest.low, narrowest.high]
    low, high = min(points), max(points)
    margin = MARGIN * (high - low) or 1.0
    return low - margin, high + margin
