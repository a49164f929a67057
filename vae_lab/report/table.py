"""Mean and standard error over seeds, arm by arm."""

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A metric of an arm over its runs."""

    mean: float
    error: float  # standard error of the mean over seeds; NaN for one seed

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if math.isnan(self.error) else f"{self.mean:.2f} ± {self.error:.2f}"


class Row(NamedTuple):
    """An arm: how many of its runs finished, and its metrics."""

    arm: str
    finished: int
    runs: int
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Table:
    """Rows by arm, columns by metric."""

    metrics: tuple[str, ...]
    rows: tuple[Row, ...]

    def header(self) -> list[str]:
        """Titles of the columns."""
        return ["arm", "runs", *self.metrics]

    def lines(self) -> list[list[str]]:
        """The rows as texts; a run that did not finish shows in the count."""
        return [
            [
                row.arm,
                str(row.finished) if row.finished == row.runs else f"{row.finished} of {row.runs}",
                *(str(row.cells[metric]) if metric in row.cells else "" for metric in self.metrics),
            ]
            for row in self.rows
        ]

    def markdown(self) -> str:
        """The table in Markdown."""
        rows = [self.header(), ["---"] + ["---:"] * (len(self.header()) - 1), *self.lines()]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)

    def csv(self) -> str:
        """The table with means and standard errors at full precision."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [f"{metric} {part}" for metric in self.metrics for part in ("mean", "standard error")]
        writer.writerow(["arm", "finished", "runs", *columns])
        for row in self.rows:
            cells = [row.cells.get(metric, Cell(math.nan, math.nan)) for metric in self.metrics]
            writer.writerow([row.arm, row.finished, row.runs, *(number for cell in cells for number in cell)])
        return text.getvalue()


def cell_of(values: Sequence[float]) -> Cell:
    """Mean and standard error of the mean of values over seeds."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Cell(statistics.fmean(values), error)


def table_of(records: Sequence[Any], arms: Sequence[str], metrics: Sequence[str]) -> Table:
    """Summarizes runs by their tag vae_lab.arm.

    Args:
      records: runs with `status`, `tags` and `metrics`; those that are not FINISHED are counted and not averaged.
      arms: the rows, in order.
      metrics: the columns, in order; one that no run has is left out.
    """
    rows = []
    for arm in arms:
        runs = [record for record in records if record.tags.get("vae_lab.arm") == arm]
        finished = [record for record in runs if record.status == "FINISHED"]
        cells = {
            metric: cell_of(values)
            for metric in metrics
            if (values := [record.metrics[metric] for record in finished if metric in record.metrics])
        }
        rows.append(Row(arm, len(finished), len(runs), cells))
    used = tuple(metric for metric in metrics if any(metric in row.cells for row in rows))
    return Table(used, tuple(rows))
