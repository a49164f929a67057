"""A table of a user's own: one row an image, as in Kaggle's digits, or one row of real values."""

import csv
import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_lab.data import memory, own
from vae_lab.data.dataset import Dataset, Split
from vae_lab.errors import UsageError, told

READ_AS = np.float32
LARGEST_LABEL = 2**24  # beyond which float32 has not every whole number
# What can stand between cells, in the order in which it is looked for; None is any spaces.
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", None: "spaces"}
# Names of columns that number the rows: pandas's of an index without a name, and the usual ones.
INDEX = re.compile(r"unnamed: [0-9]+|index|id", re.IGNORECASE)
# So many rising numbers are no accident: a header of wavelengths or times.
RISING = 8
CHOOSE = "say data.header=true if it names the columns, or data.header=false if it is a row"


class Opening(NamedTuple):
    """What the first line of a table says."""

    cells: list[str]
    header: bool  # whether they are names of columns
    separator: str | None


def files(path: str | None, **settings: Any) -> list[Path]:
    """The table."""
    return [own.existing("csv", path)]


def facts(
    path: str | None,
    label: str | int | None,
    shape: Sequence[int] | None,
    levels: Any,
    header: bool | None = None,
    **splitting: Any,
) -> dict[str, Any]:
    """Shape, levels and rows, from the first lines and the number of lines."""
    (file,) = files(path)
    opening = first_line(file, header)
    values = len(opening.cells) - (label_column(file, opening, label) is not None)
    image = own.image_shape(file, (values,), shape, levels)
    state = file.stat()
    rows = count_lines(file, state.st_size, state.st_mtime_ns) - opening.header
    size = rows * len(opening.cells) * np.dtype(READ_AS).itemsize
    memory.require(size, f"{file} with {rows:,} rows of {len(opening.cells):,} cells", "use fewer or smaller images")
    return own.facts(file, image, levels, {"train": rows}, own.Splitting(**splitting))


def load(
    path: str | None,
    label: str | int | None,
    shape: Sequence[int] | None,
    levels: Any,
    header: bool | None = None,
    **splitting: Any,
) -> Dataset:
    """Loads the rows; the column of that name in the header, or number, holds labels, all others pixels.

    Raises:
      UsageError: when rows differ in length, hold what is no number, or not such numbers as they must.
    """
    (file,) = files(path)
    opening = first_line(file, header)
    at = label_column(file, opening, label)
    try:
        table = np.loadtxt(
            file,
            READ_AS,
            delimiter=opening.separator,
            skiprows=int(opening.header),
            ndmin=2,
            comments=None,
            quotechar='"',
            encoding="utf-8-sig",
        )
    except (OSError, ValueError) as error:
        between = SEPARATORS[opening.separator]
        raise UsageError(
            f"{file} is not a table of numbers with {between} between them and points for decimals ({told(error)})"
        ) from error
    labels = None if at is None else own.to_labels(file, table[:, at], len(table))
    if labels is not None and np.abs(labels).max(initial=0) >= LARGEST_LABEL:
        raise UsageError(f"{file}: labels must be below {LARGEST_LABEL}; number the classes from 0")
    values = table if at is None else np.delete(table, at, axis=1)
    pixels = own.to_pixels(file, values, own.image_shape(file, values.shape[1:], shape, levels), levels)
    return own.dataset("csv", file, levels, {"train": Split(pixels, labels)}, own.Splitting(**splitting))


def first_line(file: Path, header: bool | None) -> Opening:
    """What the first line says, `data.header` being whether it names the columns, or None to see by what it holds.

    Raises:
      UsageError: when there is none, or it names columns as none can be, or it could be either.
    """
    try:
        with file.open(encoding="utf-8-sig") as lines:
            first, second = (line.rstrip("\n") for line in itertools.islice(itertools.chain(lines, ["", ""]), 2))
        separator = separator_of(first, second)
        cells, below = (cells_of(line, separator) for line in (first, second))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} is not a table in UTF-8 ({told(error)})") from error
    if "\0" in first:
        raise UsageError(f"{file} is not a table: its first line holds bytes that are no text")
    if not any(cells):
        raise UsageError(f"{file} is empty, or its first line is; it must hold rows of numbers")
    if "" in cells:
        raise UsageError(
            f"{file}: cell {cells.index('') + 1} of the first line is empty; a header must name every column (pandas "
            "writes one without a name for its index: to_csv(index=False))"
        )
    return Opening(cells, names_columns(file, cells, below) if header is None else header, separator)


def separator_of(first: str, second: str) -> str | None:
    """What stands between the cells of two lines: the first that gives both as many cells, or that the first has.

    In a table with semicolons or tabs, commas are those of decimals.
    """
    counts = {separator: [len(cells_of(line, separator)) for line in (first, second)] for separator in SEPARATORS}
    alike = [separator for separator, (one, other) in counts.items() if one == other > 1]
    held = [separator for separator in counts if separator is not None and counts[separator][0] > 1]
    return [*alike, *held, ","][0]


def cells_of(line: str, separator: str | None) -> list[str]:
    """The cells of a line."""
    if separator is None:
        return line.split()
    if separator not in line:  # and it may be longer than the csv module lets a cell be
        return [line.strip().strip('"')]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]


def names_columns(file: Path, cells: list[str], below: list[str]) -> bool:
    """Whether the cells of the first line are names of columns, `below` being those of the second.

    Raises:
      UsageError: where they number the columns, or are neither names nor numbers.
    """
    numbers = numbers_in(cells)
    with np.errstate(invalid="ignore"):  # of cells that are infinite
        steps = np.diff(numbers)
    counts = len(numbers) > 1 and bool((steps == 1).all()) and numbers[0] == int(numbers[0])
    even = len(numbers) > 2 and steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0)
    if len(numbers) < len(cells):
        if numbers and not counts and not even:
            word = next(cell for cell in cells if not numbers_in([cell]))
            raise UsageError(f"{file}: the first line holds {word[:40]!r} among numbers; {CHOOSE}")
        return True
    if counts:
        raise UsageError(
            f"{file}: the first line numbers the columns from {cells[0]}, as pandas does without names; name them, or "
            f"leave the line out (to_csv(header=False)), or {CHOOSE}"
        )
    rising = len(numbers) >= RISING and (steps > 0).all() and numbers_in(below) != sorted(numbers_in(below))
    if even or rising:
        raise UsageError(
            f"{file}: the first line holds rising numbers ({', '.join(cells[:3])}, ...), as a header does; {CHOOSE}"
        )
    return False


def numbers_in(cells: Sequence[str]) -> list[float]:
    """Those of the cells that are numbers."""
    found = []
    for cell in cells:
        try:
            found.append(float("no number" if "_" in cell else cell))  # Python takes 1_1 for 11
        except ValueError:
            continue
    return found


def label_column(file: Path, opening: Opening, label: str | int | None) -> int | None:
    """Number of the column of labels, or None where `data.label` is.

    Raises:
      UsageError: where there is no such column, a column of pixels numbers the rows, or two have one name.
    """
    at, columns = None, opening.cells
    if label is not None:
        if opening.header and str(label) in columns:
            at = columns.index(str(label))
        elif isinstance(label, int) and not isinstance(label, bool) and -len(columns) <= label < len(columns):
            at = label % len(columns)
        else:
            shown = f"its columns are {', '.join(name[:40] for name in columns[:4])}, ..."
            raise UsageError(
                f"{file} has no column data.label={label}: {shown if opening.header else 'its first line is no header'}"
                f"; use data.label=null if it has no labels, or data.label=0 to {len(columns) - 1} for a column by its "
                "number"
            )
    for column, name in enumerate(columns if opening.header else []):
        if column != at and INDEX.fullmatch(name):
            raise UsageError(
                f"{file}: column {column} is named {name}, as one that numbers the rows, and would be a pixel; leave "
                "it out (of pandas: to_csv(index=False)), or name it otherwise"
            )
        if name in columns[:column]:
            raise UsageError(f"{file}: columns {columns.index(name)} and {column} are both named {name}; rename one")
    return at


@lru_cache(maxsize=64)
def count_lines(file: Path, size: int, changed: int) -> int:
    """How many lines are not blank, in the file of that size, changed at that time."""
    with file.open("rb") as lines:
        return sum(not line.isspace() for line in lines)
