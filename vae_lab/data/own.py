"""Files of a user's own: which values are legal, which shape rows have, how they are split."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data import memory
from vae_lab.data.dataset import Dataset, Split, hold_out, pixels_sha256
from vae_lab.errors import UsageError

# `data.levels` of real values: all in [0, 1], or of any size.
UNIT, REAL = "unit", "real"
CHANNELS = (1, 3)


@dataclass(frozen=True)
class Splitting:
    """Which rows are held out, from the options of a user's own file, where the file has them not apart.

    Args:
      validation_fraction: of the training rows.
      test_fraction: of all rows that are not apart.
      split_seed: of the random order before that; None keeps the file's order, and its last rows are held out.
    """

    validation_fraction: float
    test_fraction: float
    split_seed: int | None

    def sizes(self, path: Path, rows: Mapping[str, int]) -> tuple[int, int, int]:
        """Rows for training, validation and tests, of those that the file has by split: "train", maybe others.

        Raises:
          UsageError: when that leaves none for training or tests.
        """
        test = rows.get("test", round(self.test_fraction * rows["train"]))
        rest = rows["train"] if "test" in rows else rows["train"] - test
        validation = rows.get("val", round(self.validation_fraction * rest))
        training = rest if "val" in rows else rest - validation
        if test < 1 or training < 1:
            raise UsageError(
                f"{path} has {rows['train']} rows: {training} for training and {test} for tests are too few; "
                f"change data.validation_fraction={self.validation_fraction} or data.test_fraction={self.test_fraction}"
            )
        return training, validation, test

    def split(self, path: Path, splits: Mapping[str, Split]) -> tuple[Split, Split, Split]:
        """Training, validation and test rows."""
        _, validation_size, test_size = self.sizes(path, {split: len(rows) for split, rows in splits.items()})
        rest, seed = splits["train"], self.split_seed
        if "test" in splits:
            test = splits["test"]
        else:
            (rest, test), seed = hold_out(rest, test_size, seed), None
        if "val" in splits:
            return rest, splits["val"], test
        return *hold_out(rest, validation_size, seed), test


def existing(option: str, path: Any, folder: bool = False) -> Path:
    """The path of `data.path`.

    Raises:
      UsageError: when none is given, or nothing of the kind is there.
    """
    kind = "folder" if folder else "file"
    if path is None or not str(path):
        raise UsageError(f"data={option} needs data.path=..., the {kind} to read")
    try:
        found = Path(str(path)).expanduser()
    except RuntimeError as error:
        raise UsageError(f"data={option}: data.path={path} is in the home of nobody here ({error})") from error
    if not (found.is_dir() if folder else found.is_file()):
        raise UsageError(f"data={option}: data.path={path} is not a {kind}; name one that exists")
    return found


def facts(
    path: Path, shape: tuple[int, ...], levels: Any, rows: Mapping[str, int], splitting: Splitting
) -> dict[str, Any]:
    """The facts of a file by its size and its rows by split: see `vae_lab.data.dataset.facts_of`.

    Raises:
      UsageError: when its rows are too few, or its pixels more than there is memory.
    """
    training, validation, _ = splitting.sizes(path, rows)
    count, image, bytes_a_value = sum(rows.values()), "x".join(map(str, shape)), 4 if levels in (UNIT, REAL) else 1
    memory.require(
        count * math.prod(shape) * bytes_a_value,
        f"data.path={path} with {count:,} images of {image}",
        "use fewer or smaller images",
    )
    found = {"image_shape": list(shape), "training_rows": training, "validation_rows": validation}
    return found | ({"levels": None, "values": levels} if levels in (UNIT, REAL) else {"levels": levels})


def dataset(
    option: str,
    path: Path,
    levels: Any,
    splits: Mapping[str, Split],
    splitting: Splitting,
    label_names: Sequence[str] | None = None,
) -> Dataset:
    """The data set of a user's own pixels [N,H,W,C], by the splits that the file has: "train", maybe "val" and "test".

    Its digest is of the arrays with their shapes: the same bytes can be other images, or other splits.
    """
    ordered = {name: splits[name].pixels for name in ("train", "val", "test") if name in splits}
    described = [(pixels.dtype.str, pixels.shape) for pixels in ordered.values()]
    shapes = np.frombuffer((str(described) + "val" * ("val" in ordered)).encode(), np.uint8)
    digest = pixels_sha256(shapes, *ordered.values())
    train, val, test = splitting.split(path, splits)
    names = None if label_names is None else tuple(label_names)
    return Dataset(option, None if levels in (UNIT, REAL) else levels, digest, str(path), train, val, test, names)


def check_levels(levels: Any) -> None:
    """Raises UsageError for what `data.levels` cannot be."""
    whole = isinstance(levels, int) and not isinstance(levels, bool) and 2 <= levels <= 256
    if not whole and levels not in (UNIT, REAL):
        raise UsageError(
            f"data.levels={'null' if levels is None else levels} must be a whole number from 2 to 256 (grey levels), "
            "unit (real values in [0, 1]) or real"
        )


def image_shape(path: Path, row: Sequence[int], shape: Sequence[int] | None, levels: Any) -> tuple[int, int, int]:
    """[H, W, C] of the images.

    Args:
      path: the file, for errors.
      row: shape of a row in it: [H, W, C], [H, W] or [D].
      shape: `data.shape`, or None for the row's own: D grey levels are a square, D real values a vector [1, D, 1].
      levels: `data.levels`.

    Raises:
      UsageError: when a row has no such shape.
    """
    check_levels(levels)
    size = math.prod(row)
    if shape is not None:
        listed = isinstance(shape, Sequence) and not isinstance(shape, str)
        whole = listed and len(shape) == 3 and all(isinstance(n, int) and n >= 1 for n in shape)
        if not whole or math.prod(shape) != size:
            given = list(shape) if listed else shape
            raise UsageError(
                f"data.shape={given} must be [H,W,C] with H x W x C = {size}, the values of a row of {path}"
            )
        if len(row) > 1 and [n for n in shape if n > 1] != [n for n in row if n > 1]:
            raise UsageError(
                f"data.shape={list(shape)}: the rows of {path} are {list(row)} already; transpose them in the file, to "
                "[H,W,C]"
            )
        height, width, channels = shape
    elif len(row) == 1 and levels in (UNIT, REAL):
        height, width, channels = 1, size, 1
    elif len(row) == 1:
        height = width = math.isqrt(size)
        channels = 1
        if height * width != size:
            raise UsageError(
                f"{path} has {size} values a row, which is no square image; say data.shape=[H,W,C], "
                "or data.levels=real of vectors"
            )
    elif len(row) in (2, 3):
        height, width, channels = (*row, 1)[:3]
    else:
        raise UsageError(f"{path} holds images of shape {list(row)}; they must be [H,W,C], [H,W] or rows of values")
    if channels not in CHANNELS or size == 0:
        raise UsageError(
            f"{path} holds images of shape {[height, width, channels]}; they must have 1 or 3 channels, which come last"
        )
    return height, width, channels


def to_pixels(path: Path, values: np.ndarray, shape: tuple[int, int, int], levels: Any) -> np.ndarray:
    """values [N,...] of any number type -> pixels [N,*shape], uint8, or float32 where levels are "unit" or "real".

    Raises:
      UsageError: when they are no numbers, or not such as `data.levels` says.
    """
    if values.dtype.kind not in "buif":
        raise UsageError(f"{path} holds {values.dtype} values where numbers must be")
    rows = values.reshape(len(values), -1)

    def refuse_where(wrong: np.ndarray, what: str) -> None:
        if wrong.any():
            row, column = np.unravel_index(np.argmax(wrong), wrong.shape)
            raise UsageError(f"{path}, row {row}: {rows[row, column]} {what}")

    if rows.dtype.kind == "f":
        with np.errstate(over="ignore"):
            finite = np.isfinite(rows.astype(np.float32, copy=False))
        refuse_where(~finite, "is not a finite number; leave such rows out")
    if levels in (UNIT, REAL):
        if levels == UNIT:
            refuse_where((rows < 0) | (rows > 1), "is not in [0, 1], as data.levels=unit says; use data.levels=real")
        return rows.reshape(-1, *shape).astype(np.float32, copy=False)
    wrong = (rows < 0) | (rows > levels - 1) | (rows != np.floor(rows) if rows.dtype.kind == "f" else False)
    refuse_where(
        wrong, f"is none of the whole numbers 0 to {levels - 1} of data.levels={levels}; use data.levels=unit or real"
    )
    if levels > 2 and rows.size and rows.max() == 1:
        raise UsageError(f"{path} holds zeros and ones only, and data.levels={levels}; use data.levels=2")
    return rows.reshape(-1, *shape).astype(np.uint8, copy=False)


def to_labels(path: Path, labels: np.ndarray, rows: int) -> np.ndarray:
    """labels of any whole-number type, [N] or [N,1] -> int64 [N].

    Raises:
      UsageError: when they are not one whole number a row.
    """
    numbers = labels.size == rows and labels.dtype.kind in "buif"
    if not numbers or not np.all(np.isfinite(labels)) or not np.all(labels == np.floor(labels)):
        raise UsageError(
            f"{path}: labels ({labels.dtype}, shape {list(labels.shape)}) are not one whole number for each of {rows} "
            "rows; save the file without them, or with numbers of classes"
        )
    return labels.reshape(rows).astype(np.int64)
