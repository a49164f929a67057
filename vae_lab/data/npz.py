"""A numpy archive of a user's own."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data import own
from vae_lab.data.dataset import Dataset, Split
from vae_lab.errors import UsageError

IMAGES, LABELS = ("images", "pixels", "x"), ("labels", "y")
SPLIT_IMAGES, SPLIT_LABELS = ("x_train", "x_test"), ("y_train", "y_test")
# What numpy raises of an archive that is cut, is none, is pickled or lacks an array.
BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def files(path: str | None, **settings: Any) -> list[Path]:
    """The archive."""
    return [own.existing("npz", path)]


def facts(
    path: str | None,
    key: str | None,
    shape: Sequence[int] | None,
    levels: Any,
    **splitting: Any,
) -> dict[str, Any]:
    """Shape, levels and rows, from the arrays' headers alone."""
    (file,) = files(path)
    shapes = headers(file)
    names = image_keys(file, shapes, key)
    image = own.image_shape(file, shapes[names[0]][1:], shape, levels)
    test_rows = shapes[names[1]][0] if len(names) == 2 else None
    return own.facts(file, image, levels, shapes[names[0]][0], test_rows, own.Splitting(**splitting))


def load(
    path: str | None,
    key: str | None,
    shape: Sequence[int] | None,
    levels: Any,
    **splitting: Any,
) -> Dataset:
    """Loads the images of `key`, or of images, pixels or x; or those of x_train and x_test.

    Labels, where there are any: labels or y; y_train and y_test.

    Raises:
      UsageError: when the archive is broken, pickled, has no such array, or one that is not of numbers as they must be.
    """
    (file,) = files(path)
    shapes = headers(file)
    names = image_keys(file, shapes, key)
    splits = []
    for name in names:
        image = own.image_shape(file, shapes[name][1:], shape, levels)
        pixels = own.to_pixels(file, read(file, name), image, levels)
        wanted = (SPLIT_LABELS[SPLIT_IMAGES.index(name)],) if len(names) == 2 else LABELS
        present = [label for label in wanted if label in shapes]
        labels = own.to_labels(file, read(file, present[0]), len(pixels)) if present else None
        splits.append(Split(pixels, labels))
    rows, test = splits[0], splits[1] if len(splits) == 2 else None
    if test is not None and test.pixels.shape[1:] != rows.pixels.shape[1:]:
        raise UsageError(f"{file}: x_train and x_test hold images of different shapes")
    return own.dataset("npz", file, levels, rows, test, own.Splitting(**splitting))


def image_keys(file: Path, shapes: dict[str, tuple[int, ...]], key: str | None) -> tuple[str, ...]:
    """The name of the array of images, or of those for training and for tests."""
    if key is not None:
        candidates: list[tuple[str, ...]] = [(key,)]
    else:
        candidates = [SPLIT_IMAGES, *((name,) for name in IMAGES)]
    for names in candidates:
        if all(shapes.get(name) for name in names):
            return names
    asked = f"data.key={key}" if key is not None else f"{', '.join(IMAGES)}, or x_train and x_test"
    raise UsageError(f"{file} has no array of {asked}; it has {', '.join(shapes) or 'none'}. Say data.key=NAME")


def headers(file: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of all arrays by name, without reading them."""
    shapes = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                with archive.open(member) as array:
                    version = np.lib.format.read_magic(array)
                    read_header = {
                        (1, 0): np.lib.format.read_array_header_1_0,
                        (2, 0): np.lib.format.read_array_header_2_0,
                    }[version]
                    shapes[member.removesuffix(".npy")] = read_header(array)[0]
    except BROKEN as error:
        raise UsageError(f"{file} is not a complete npz of arrays ({error}); write it by numpy.savez") from error
    return shapes


def read(file: Path, name: str) -> np.ndarray:
    """One array, never unpickled."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return archive[name]
    except BROKEN as error:
        raise UsageError(
            f"{file}: array {name} cannot be read ({error}); write it by numpy.savez, as numbers"
        ) from error
