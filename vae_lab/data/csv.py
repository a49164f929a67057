"""A table of a user's own: one row an image, as in Kaggle's digits, or one row of real values."""

import csv
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data import own
from vae_lab.data.dataset import Dataset, Split
from vae_lab.errors import UsageError

LARGEST_LABEL = 2**24  # beyond which float32, as which the table is read, has not every whole number


def files(path: str | None, **settings: Any) -> list[Path]:
    """The table."""
    return [own.existing("csv", path)]


def facts(
    path: str | None,
    label: str | None,
    shape: Sequence[int] | None,
    levels: Any,
    **splitting: Any,
) -> dict[str, Any]:
    """Shape, levels and rows, from the first line and the number of lines."""
    (file,) = files(path)
    columns, header = first_line(file)
    values = len(columns) - (label_column(file, columns, header, label) is not None)
    image = own.image_shape(file, (values,), shape, levels)
    state = file.stat()
    rows = count_lines(file, state.st_size, state.st_mtime_ns) - header
    return own.facts(file, image, levels, rows, None, own.Splitting(**splitting))


def load(
    path: str | None,
    label: str | None,
    shape: Sequence[int] | None,
    levels: Any,
    **splitting: Any,
) -> Dataset:
    """Loads the rows; the column of that name in the header holds labels, all others pixels.

    Raises:
      UsageError: when rows differ in length, hold what is no number, or not such numbers as they must.
    """
    (file,) = files(path)
    columns, header = first_line(file)
    at = label_column(file, columns, header, label)
    try:
        table = np.loadtxt(
            file,
            np.float32,
            delimiter=",",
            skiprows=int(header),
            ndmin=2,
            comments=None,
            quotechar='"',
            encoding="utf-8-sig",
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is not a table of numbers ({error})") from error
    labels = None if at is None else own.to_labels(file, table[:, at], len(table))
    if labels is not None and np.abs(labels).max(initial=0) >= LARGEST_LABEL:
        raise UsageError(f"{file}: labels must be below {LARGEST_LABEL}; number the classes from 0")
    values = table if at is None else np.delete(table, at, axis=1)
    pixels = own.to_pixels(file, values, own.image_shape(file, values.shape[1:], shape, levels), levels)
    return own.dataset("csv", file, levels, Split(pixels, labels), None, own.Splitting(**splitting))


def first_line(file: Path) -> tuple[list[str], bool]:
    """The cells of the first line, and whether they are names of columns."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            cells = [cell.strip() for cell in next(csv.reader(lines), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} is not a table in UTF-8 ({error})") from error
    if not cells:
        raise UsageError(f"{file} is empty, or its first line is; it must hold rows of numbers")
    if "" in cells:
        raise UsageError(
            f"{file}: cell {cells.index('') + 1} of the first line is empty; a header must name every column (pandas "
            "writes one without a name for its index: to_csv(index=False))"
        )
    if len(cells) > 1 and cells == [str(number) for number in range(len(cells))]:
        raise UsageError(
            f"{file}: the first line numbers the columns from 0, as pandas does without names; name them, or leave "
            "the line out (to_csv(header=False))"
        )
    try:
        for cell in cells:
            float(cell)
    except ValueError:
        return cells, True
    return cells, False


def label_column(file: Path, columns: list[str], header: bool, label: str | None) -> int | None:
    """Number of the column of labels, or None where `data.label` is."""
    if label is None:
        return None
    if not header or label not in columns:
        shown = f"its columns are {', '.join(columns[:4])}, ..." if header else "its first line is no header"
        raise UsageError(f"{file} has no column data.label={label}: {shown}; use data.label=null if it has no labels")
    return columns.index(label)


@lru_cache(maxsize=64)
def count_lines(file: Path, size: int, changed: int) -> int:
    """How many lines are not blank, in the file of that size, changed at that time."""
    with file.open("rb") as lines:
        return sum(not line.isspace() for line in lines)
