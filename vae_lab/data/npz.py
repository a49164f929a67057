"""A numpy archive of a user's own."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_lab.data import memory, own
from vae_lab.data.dataset import Dataset, Split
from vae_lab.errors import UsageError, told

IMAGES, LABELS = ("images", "pixels", "x"), ("labels", "y")
SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
# What numpy and zipfile raise of an archive that is cut, is none, is pickled, encrypted or lacks an array.
BROKEN = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class Header(NamedTuple):
    """What an array's header says."""

    shape: tuple[int, ...]
    size: int  # in bytes, unpacked
    held: int  # the bytes that are there


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
    arrays = headers(file)
    names = image_keys(file, arrays, key)
    image = own.image_shape(file, arrays[names["train"]].shape[1:], shape, levels)
    for name in names.values():
        _, size, held = arrays[name]
        promised = f"its header promises that, and {held:,} bytes are there: write it anew by numpy.savez"
        memory.require(size, f"{file}: array {name}", "use fewer or smaller images" if size == held else promised)
        if size != held:
            raise UsageError(f"{file}: array {name} needs {size:,} bytes; {promised}")
    rows = {split: arrays[name].shape[0] for split, name in names.items()}
    return own.facts(file, image, levels, rows, own.Splitting(**splitting))


def load(
    path: str | None,
    key: str | None,
    shape: Sequence[int] | None,
    levels: Any,
    **splitting: Any,
) -> Dataset:
    """Loads the images of `key`, or of x_train, x_val (or x_valid, x_validation) and x_test; or of images, pixels or x.

    Labels, where there are any: y_train, y_val and y_test; labels or y.

    Raises:
      UsageError: when the archive is broken, pickled, has no such array, or one that is not of numbers as they must be.
    """
    (file,) = files(path)
    arrays = headers(file)
    names = image_keys(file, arrays, key)
    splits: dict[str, Split] = {}
    for split, name in names.items():
        image = own.image_shape(file, arrays[name].shape[1:], shape, levels)
        pixels = own.to_pixels(file, read(file, name), image, levels)
        present = [label for label in label_keys(split, name) if label in arrays]
        labels = own.to_labels(file, read(file, present[0]), len(pixels)) if present else None
        splits[split] = Split(pixels, labels)
        if pixels.shape[1:] != splits["train"].pixels.shape[1:]:
            raise UsageError(f"{file}: {names['train']} and {name} hold images of different shapes")
    return own.dataset("npz", file, levels, splits, own.Splitting(**splitting))


def label_keys(split: str, images: str) -> tuple[str, ...]:
    """What the array of labels beside that of a split's images may be named."""
    return tuple(f"y_{spelt}" for spelt in SPLITS[split]) if images in by_split(split) else LABELS


def by_split(split: str) -> tuple[str, ...]:
    """What the array of a split's images may be named."""
    return tuple(f"x_{spelt}" for spelt in SPLITS[split])


def image_keys(file: Path, arrays: Mapping[str, Header], key: str | None) -> dict[str, str]:
    """The name of the array of images, as "train", or the names of those that the archive has by split.

    Raises:
      UsageError: where there is none, or images beside it that would not be read.
    """
    held = [name for name, header in arrays.items() if header.shape]
    if key is not None:
        if key not in held:
            raise UsageError(f"{file} has no array of data.key={key}; it has {listed(arrays)}. Say data.key=NAME")
        return {"train": key}
    found = {split: [name for name in by_split(split) if name in held] for split in SPLITS}
    if not found["train"]:
        found = {"train": [name for name in IMAGES if name in held][:1]}
    if not found["train"]:
        raise UsageError(
            f"{file} has no array of {', '.join(IMAGES)}, or x_train and x_test; it has {listed(arrays)}. "
            "Say data.key=NAME"
        )
    if twice := [names for names in found.values() if len(names) > 1]:
        raise UsageError(f"{file} has both {twice[0][0]} and {twice[0][1]}, which are one split; leave one out")
    chosen = {split: names[0] for split, names in found.items() if names}
    first = chosen["train"]
    for name in held:
        like = name.startswith(f"{first.removesuffix('_train')}_") and arrays[name].shape[1:] == arrays[first].shape[1:]
        if like and name not in chosen.values():
            raise UsageError(
                f"{file} has images {name} beside {first}, which would not be read; name splits x_train, x_val and "
                f"x_test, leave it out, or say data.key={first}"
            )
    return chosen


def listed(arrays: Mapping[str, Header]) -> str:
    """The names of an archive's arrays."""
    return ", ".join(arrays) or "none"


def headers(file: Path) -> dict[str, Header]:
    """What the headers of all arrays say, by name, without reading them."""
    found = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                with archive.open(member) as array:
                    version = np.lib.format.read_magic(array)
                    read_header = {
                        (1, 0): np.lib.format.read_array_header_1_0,
                        (2, 0): np.lib.format.read_array_header_2_0,
                    }[version]
                    shape, _, dtype = read_header(array)
                    held = member.file_size - array.tell()
                    size = held if dtype.hasobject else math.prod(shape) * dtype.itemsize
                    found[member.filename.removesuffix(".npy")] = Header(shape, size, held)
    except BROKEN as error:
        raise UsageError(f"{file} is not a complete npz of arrays ({told(error)}); write it by numpy.savez") from error
    return found


def read(file: Path, name: str, way_out: str = "write it by numpy.savez, as numbers") -> np.ndarray:
    """One array, never unpickled."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return archive[name]
    except BROKEN as error:
        raise UsageError(f"{file}: array {name} cannot be read ({told(error)}); {way_out}") from error
