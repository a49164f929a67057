"""The report's plots, as SVG that needs no script: narrow, so that they can be read on a phone and stand in pairs."""

import html
import io
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_lab.report.comparison import Comparison
from vae_lab.report.curves import Curve
from vae_lab.report.report import Report
from vae_lab.study.expectations import Expectation

# Okabe and Ito's colours, which colour-blind readers tell apart; then the same again with other strokes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STROKES = ("-", "--", ":", "-.")
WIDTH = 5.0  # inches
MOST_POINTS = 400  # of a curve
SHOWN_FROM = 0.1  # of the epochs: where the curves' scale begins, since the first ones are far below
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.parse_math": False,  # an arm's name may hold a dollar
}


def colour(number: int) -> str:
    """Colour of the arm of that number."""
    return COLOURS[number % len(COLOURS)]


def stroke(number: int) -> str:
    """Stroke of the arm of that number."""
    return STROKES[number // len(COLOURS) % len(STROKES)]


def draw(figure: Figure, name: str, alt: str) -> str:
    """A figure as an SVG element that takes the width it is given, the same text for the same figure."""
    with matplotlib.rc_context({"svg.hashsalt": name}):
        text = io.StringIO()
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'\bid="(?=(?:figure|axes|patch|line2d|text|xtick|ytick|legend|matplotlib)[._])', f'id="{name}-', svg)
    svg = re.sub(r'<svg([^>]*?) width="[^"]*"', r"<svg\1", svg, count=1)
    svg = re.sub(r'<svg([^>]*?) height="[^"]*"', r"<svg\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(alt)}"', 1)


def curves(report: Report, key: str) -> str:
    """Learning curves of a metric: mean over seeds and the range from the smallest to the largest seed."""
    arms = list(report.study.arms)
    found = report.curves[key]
    with matplotlib.rc_context(STYLE):
        legend_rows = math.ceil(len(found) / 2)
        figure = Figure((WIDTH, 3.2 + 0.17 * legend_rows), layout="constrained")
        axes = figure.add_subplot()
        for arm, one in found.items():
            number = arms.index(arm)
            look: Any = {"color": colour(number), "linestyle": stroke(number)}
            thin = slice(None, None, math.ceil(len(one.epochs) / MOST_POINTS))
            axes.plot(one.epochs[thin], one.mean[thin], label=report.named(arm), linewidth=1.4, **look)
            if one.seeds > 1:
                axes.fill_between(
                    one.epochs[thin], one.low[thin], one.high[thin], color=look["color"], alpha=0.15, linewidth=0
                )
        show_the_end(axes, list(found.values()))
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{key} (nats per image)")
        figure.legend(loc="outside lower center", ncol=2, handlelength=2.2, columnspacing=1.2)
        return draw(figure, re.sub(r"\W", "-", key), f"Learning curves of {key}")


def show_the_end(axes: Axes, found: Sequence[Curve]) -> None:
    """Sets the scale by all but the first epochs."""
    last = max(one.epochs[-1] for one in found)
    ends = [part[one.epochs >= SHOWN_FROM * last] for one in found for part in (one.low, one.high)]
    shown = np.concatenate(ends)
    shown = shown[np.isfinite(shown)]
    if len(shown) and shown.max() > shown.min():
        margin = 0.05 * (shown.max() - shown.min())
        axes.set_ylim(shown.min() - margin, shown.max() + margin)


def differences(report: Report) -> str | None:
    """Each arm minus the reference: every seed, the interval over seeds, the interval over test images."""
    found = [one for one in report.comparisons if one.over_seeds is not None]
    if not found:
        return None
    arms = list(report.study.arms)
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, 1.1 + 0.5 * len(found)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color="#555555", linewidth=1)
        low, high = plotted_range(report)
        for row, one in enumerate(found):
            look = colour(arms.index(one.arm))
            seeds, images = one.over_seeds, one.over_images
            if seeds is not None and not math.isnan(seeds.low):
                axes.plot(
                    [seeds.low, seeds.high], [row, row], color=look, linewidth=5, alpha=0.3, solid_capstyle="butt"
                )
                for end, sign in ((seeds.low, "<"), (seeds.high, ">")):
                    if not low <= end <= high:
                        axes.plot(min(max(end, low), high), row, sign, color=look, markersize=5, clip_on=False)
            if images is not None and not math.isnan(images.low):
                axes.errorbar(
                    images.mean, row + 0.22, xerr=[[images.mean - images.low], [images.high - images.mean]], fmt="none",
                    ecolor=look, elinewidth=1.2, capsize=2.5,
                )  # fmt: skip
            axes.plot(one.each, [row] * len(one.each), "o", markersize=4, color=look, markerfacecolor="white")
            axes.plot(np.mean(one.each), row, "|", markersize=11, markeredgewidth=2, color=look)
            for expectation in report.study.expected:
                if expects(expectation, one, report.study.metric):
                    left = low if expectation.low is None else expectation.low
                    right = high if expectation.high is None else expectation.high
                    axes.fill_betweenx([row - 0.42, row + 0.42], left, right, color="#009E73", alpha=0.08, linewidth=0)
        axes.set_xlim(low, high)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_yticks(range(len(found)), [report.named(one.arm) for one in found])
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{report.study.metric}, minus {report.named(report.reference)}")
        return draw(figure, "differences", f"Differences from {report.reference}")


def expects(expectation: Expectation, one: Comparison, metric: str) -> bool:
    """Whether an expectation is of the difference that a comparison shows."""
    return expectation.arms == (one.arm, one.reference) and expectation.metric == metric


def plotted_range(report: Report) -> tuple[float, float]:
    """Limits that hold every seed, every bound and zero, and intervals unless they are much wider than those."""
    points, ends = [0.0], [0.0]
    for one in report.comparisons:
        points += one.each
        for expectation in report.study.expected:
            if expects(expectation, one, report.study.metric):
                points += [end for end in (expectation.low, expectation.high) if end is not None]
        if one.over_images is not None and not math.isnan(one.over_images.low):
            points += one.over_images[3:5]
        if one.over_seeds is not None and not math.isnan(one.over_seeds.low):
            ends += one.over_seeds[3:5]
    low, high = min(points), max(points)
    reach = max(high - low, 1e-9)
    low, high = min(low, max(min(ends), low - reach)), max(high, min(max(ends), high + reach))
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def rate_distortion(report: Report) -> str | None:
    """Rate against distortion of every counted run, with lines of equal ELBO."""
    with matplotlib.rc_context(STYLE):
        legend_rows = math.ceil(len(report.study.arms) / 2)
        figure = Figure((WIDTH, 3.2 + 0.17 * legend_rows), layout="constrained")
        axes = figure.add_subplot()
        points: list[tuple[float, float]] = []
        for number, (arm, runs) in enumerate(report.runs.counted.items()):
            of_arm = [(run.metrics.get("test/rate"), run.metrics.get("test/distortion")) for run in runs.values()]
            there = [(x, y) for x, y in of_arm if x is not None and y is not None and math.isfinite(x + y)]
            if there:
                marker = "osD^"[number // len(COLOURS) % 4]
                axes.plot(*zip(*there), marker, label=report.named(arm), color=colour(number), markersize=6, alpha=0.8)
                points += there
        if not points:
            return None
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        top += 0.12 * (top - bottom)  # room for the lines' names above the points
        axes.set(xlim=(left, right), ylim=(bottom, top))
        total = sorted(x + y for x, y in points)
        for elbo in matplotlib.ticker.MaxNLocator(3).tick_values(total[0], total[-1]):
            axes.axline((elbo, 0), slope=-1, color="#999999", linewidth=0.8, linestyle=":", zorder=0)
            x = max(left, elbo - top)
            if x < right and bottom < elbo - x <= top:
                label = f" elbo {-elbo:g}"
                axes.text(x, elbo - x, label, fontsize=7, color="#777777", va="top", ha="left")
        axes.set_xlabel("test/rate (nats per image)")
        axes.set_ylabel("test/distortion (nats per image)")
        figure.legend(loc="outside lower center", ncol=2, handlelength=1, columnspacing=1.2)
        return draw(figure, "rate-distortion", "Rate against distortion")
