"""The plot of all published values against what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from vae_lab.report.figures import STYLE, colour, draw
from vae_lab.report.results_folder import Results

WIDTH, ROW, EDGES = 8.0, 0.24, 0.9  # inches: of the figure, of a value, of the axis and margins
FILE = "published.svg"


@dataclass(frozen=True)
class Value:
    """A published value's line: what was found minus it, the ends of that one's interval, and its tolerance."""

    name: str
    found: float
    interval: tuple[float, float] | None
    tolerance: float


def values_in(pages: Sequence[Results]) -> list[Value]:
    """The expectations of a value that was published and looked for."""
    values = []
    for page in pages:
        for one in page.expectations:
            if one.low is None or one.high is None or one.found is None or one.is_difference:
                continue
            value, ends = (one.low + one.high) / 2, (one.found_low, one.found_high)
            interval = None if ends[0] is None or ends[1] is None else (ends[0] - value, ends[1] - value)
            name = f"{page.name}  {one.subject}  {one.metric}"
            values.append(Value(name, one.found - value, interval, (one.high - one.low) / 2))
    return values


def published(values: Sequence[Value]) -> str:
    """Found minus published, with its 95% interval over seeds, over the tolerance around zero: a line a value."""
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, EDGES + ROW * len(values)), layout="constrained")
        axes = figure.add_subplot()
        for row, value in enumerate(values):
            axes.barh(row, 2 * value.tolerance, left=-value.tolerance, height=0.8, color="#009E73", alpha=0.15)
            look = colour(0) if abs(value.found) <= value.tolerance else colour(1)
            filled = look if value.interval else "white"
            if value.interval:
                axes.plot(value.interval, [row, row], color=look, linewidth=1.4)
            axes.plot(value.found, row, "o", color=look, markersize=5, markerfacecolor=filled)
        axes.axvline(0, color="#555555", linewidth=1)
        axes.set_yticks(range(len(values)), [value.name for value in values])
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlabel("found − published. Open: one seed. Filled: several, 95% interval. Band: the tolerance")
        return draw(figure, "published", "Found minus published, of every published value")


def write_published(pages: Sequence[Results], folder: Path) -> None:
    """Draws the plot into a folder of results, where there is a published value."""
    if values := values_in(pages):
        (folder / FILE).write_text(f"{published(values)}\n", encoding="utf-8")
