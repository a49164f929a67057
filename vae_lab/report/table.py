"""Mean and standard error over seeds, arm by arm."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vae_lab.report.format import mean_and_error
from vae_lab.report.statistics import summarize

METRICS = ("test/elbo", "test/log_likelihood", "test/rate", "test/distortion")
PARTS = ("mean", "standard error", "95% low", "95% high")
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "†": r"\dag{}"} | {
    sign: f"\\{sign}" for sign in "&%$#_{}"
}
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # with which a cell begins that a spreadsheet computes
PAGE_LINK = re.compile(r"\[[\w.-]+\]\([\w.-]+\.md\)")


class Cell(NamedTuple):
    """A metric of an arm over its runs."""

    size: int
    mean: float
    error: float  # standard error of the mean over seeds; NaN for one seed
    low: float  # 95% interval of the mean by Student's t
    high: float

    def __str__(self) -> str:
        return mean_and_error(self.mean, self.error)


class Row(NamedTuple):
    """An arm: how many of its runs finished, and its metrics."""

    arm: str
    finished: int
    runs: int
    cells: dict[str, Cell]
    mark: str = ""  # of an arm whose numbers are of the seeds that were not lost

    @property
    def named(self) -> str:
        """The arm's name with its mark."""
        return f"{self.arm} {self.mark}".strip()


@dataclass(frozen=True)
class Table:
    """Rows by arm, columns by metric."""

    metrics: tuple[str, ...]
    rows: tuple[Row, ...]

    def only(self, metrics: Sequence[str]) -> "Table":
        """The table with fewer columns."""
        return Table(tuple(metric for metric in self.metrics if metric in metrics), self.rows)

    def header(self) -> list[str]:
        """Titles of the columns."""
        return ["arm", "runs", *self.metrics]

    def lines(self) -> list[list[str]]:
        """The rows as texts; a run that did not finish shows in the count."""
        return [
            [
                row.named,
                str(row.finished) if row.finished == row.runs else f"{row.finished} of {row.runs}",
                *(str(row.cells[metric]) if metric in row.cells else "" for metric in self.metrics),
            ]
            for row in self.rows
        ]

    def markdown(self) -> str:
        """The table in Markdown."""
        return markdown_table(self.header(), self.lines())

    def csv(self) -> str:
        """The table with means, standard errors and intervals at full precision."""
        columns = [f"{metric} {part}" for metric in self.metrics for part in PARTS]
        empty = Cell(0, math.nan, math.nan, math.nan, math.nan)
        rows = []
        for row in self.rows:
            cells = [row.cells.get(metric, empty) for metric in self.metrics]
            parts = (part for cell in cells for part in cell[1:])
            rows.append([row.arm, row.finished, row.runs, bool(row.mark), *parts])
        return csv_table(["arm", "finished", "runs", "lost seeds", *columns], rows)

    def latex(self) -> str:
        """The table for LaTeX with the package booktabs."""
        header, *rows = [" & ".join(map(latex_text, line)) + r" \\" for line in (self.header(), *self.lines())]
        begin = rf"\begin{{tabular}}{{l{'r' * (len(self.header()) - 1)}}}"
        lines = [begin, r"\toprule", header, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"]
        return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    """A text or a number with its standard error as LaTeX sets it.

    >>> latex_text("-23.45 ± 0.05")
    '$-23.45 \\\\pm 0.05$'
    """
    if text.replace(" ± ", "").replace("-", "").replace(".", "").isdigit():
        return f"${text.replace('±', chr(92) + 'pm')}$"
    return "".join(LATEX.get(sign, sign) for sign in text)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table whose first columns (`left` of them) hold words and whose others hold numbers."""
    lines = [header, ["---" if place < left else "---:" for place in range(len(header))], *rows]
    cells = ([markdown_text(" ".join(text.split())) for text in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def markdown_text(text: str) -> str:
    """A text as Markdown shows it: without HTML, and with no link but to a page beside it.

    >>> markdown_text("a<b>|c"), markdown_text("p < 0.001")
    ('a&lt;b>\\\\|c', 'p < 0.001')
    """
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text).replace("|", r"\|")
    return text if PAGE_LINK.fullmatch(text) else text.replace("](", r"]\(")


def csv_text(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; numbers, also as text, stay as they are.

    >>> csv_text("=1+1"), csv_text("-23.4"), csv_text(-23.4), csv_text("mvn")
    ("'=1+1", '-23.4', -23.4, 'mvn')
    """
    if not isinstance(value, str) or not value.startswith(FORMULAS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def csv_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV file's text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([csv_text(value) for value in row] for row in (header, *rows))
    return text.getvalue()


def cell_of(values: Sequence[float]) -> Cell:
    """Mean, standard error of the mean and 95% interval of values over seeds."""
    return Cell(*summarize(values))


def row_of(arm: str, finished: Sequence[Any], runs: int, metrics: Sequence[str]) -> Row:
    """An arm's row from its finished runs, of `runs` in all."""
    cells = {
        metric: cell_of(values)
        for metric in metrics
        if (values := [record.metrics[metric] for record in finished if metric in record.metrics])
    }
    return Row(arm, len(finished), runs, cells)


def table_of_rows(rows: Sequence[Row], metrics: Sequence[str]) -> Table:
    """A table without the columns that no row has."""
    return Table(tuple(metric for metric in metrics if any(metric in row.cells for row in rows)), tuple(rows))


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
        rows.append(row_of(arm, finished, len(runs), metrics))
    return table_of_rows(rows, metrics)
