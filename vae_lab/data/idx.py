"""Data sets in the IDX format of MNIST: four gzipped files by the names everyone uses."""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data import memory
from vae_lab.data.dataset import Dataset, Split, hold_out, pixels_sha256, require_sha256
from vae_lab.data.download import KERAS_CACHE, no_data
from vae_lab.errors import UsageError, told

SIZE, ROWS = (28, 28), 70_000
FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def read_idx(path: Path) -> np.ndarray:
    """Reads one gzipped IDX file of unsigned bytes.

    Raises:
      UsageError: when the file is not one, or ends early.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is not a complete gzip file ({told(error)}); get it again") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise UsageError(
            f"{path} is not an IDX file of unsigned bytes (it begins with {content[:4].hex()}); get it again"
        )
    rank = content[3]
    if len(content) < 4 + 4 * rank:
        raise UsageError(f"{path} ends inside its header; get it again")
    shape = struct.unpack_from(f">{rank}I", content, 4)
    start = 4 + 4 * rank
    if len(content) - start != math.prod(shape):
        raise UsageError(
            f"{path} holds {len(content) - start} bytes where its header promises {math.prod(shape)}; get it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def local_files(name: str, directory: str | None) -> list[Path] | None:
    """The four files of a data set below `directory`, or None where they do not all lie there."""
    if directory is None:
        return None
    paths = [Path(directory).expanduser() / name / file for file in FILES]
    return paths if all(path.is_file() for path in paths) else None


def files(name: str, directory: str | None) -> list[Path]:
    """The files at hand: the four below `directory`, else those that Keras has downloaded."""
    kept = {"mnist": ["mnist.npz"], "fashion_mnist": [f"fashion-mnist/{file}" for file in FILES]}[name]
    return local_files(name, directory) or [KERAS_CACHE / file for file in kept if (KERAS_CACHE / file).is_file()]


def available(name: str, directory: str | None) -> bool:
    """Whether `load` will find the data without a download."""
    return bool(files(name, directory))


def facts(pad_to: Sequence[int] | None) -> dict[str, Any]:
    """The shape of padded images.

    Raises:
      UsageError: when `pad_to` is no height and width that hold the images, or more than there is memory.
    """
    if pad_to is None:
        return {}
    listed = isinstance(pad_to, Sequence) and not isinstance(pad_to, str)
    whole = listed and len(pad_to) == 2 and all(isinstance(n, int) for n in pad_to)
    if not whole or pad_to[0] < SIZE[0] or pad_to[1] < SIZE[1]:
        given = list(pad_to) if listed else pad_to
        raise UsageError(f"data.pad_to={given} must be a height and a width of at least 28, such as [32,32]")
    memory.require(
        ROWS * math.prod(pad_to), f"data.pad_to={list(pad_to)} of {ROWS:,} images", "pad to less, such as [32,32]"
    )
    return {"image_shape": [*pad_to, 1]}


def padded(pixels: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """pixels [N,h,w] -> [N,*size], zeros around; what is over of an odd difference is below and on the right."""
    over = [wanted - present for wanted, present in zip(size, pixels.shape[1:], strict=True)]
    return np.pad(pixels, ((0, 0), *((n // 2, n - n // 2) for n in over)))


def load(
    name: str, directory: str | None, validation_size: int, sha256: str, pad_to: Sequence[int] | None = None
) -> Dataset:
    """Loads a data set from local files, else by Keras's own loader.

    Raises:
      UsageError: when neither works, or the pixels are not those of the data set.
    """
    paths = local_files(name, directory)
    if paths is not None:
        source = str(paths[0].parent)
        train, test = read_split(*paths[:2]), read_split(*paths[2:])
    else:
        source = f"keras.datasets.{name}"
        train, test = (Split(*arrays) for arrays in download(name, directory))
    digest = require_sha256(name, source, pixels_sha256(train.pixels, test.pixels), sha256)
    size = SIZE if pad_to is None else pad_to
    train, test = (Split(padded(split.pixels, size)[..., None], split.labels) for split in (train, test))
    train, val = hold_out(train, validation_size)
    return Dataset(name, 256, digest, source, train, val, test)


def read_split(images: Path, labels: Path) -> Split:
    """Reads a file of images and the file of their labels.

    Raises:
      UsageError: naming the file, when it is not whole or there is not a label for each image.
    """
    pixels, names = read_idx(images), read_idx(labels)
    if len(names) != len(pixels):
        raise UsageError(f"{labels} holds {len(names)} labels, and {images.name} {len(pixels)} images")
    return Split(pixels, names)


def download(name: str, directory: str | None) -> Any:
    """((images, labels) of the training file, (images, labels) of the test file), by Keras's loader."""
    import keras

    try:
        return getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras wraps whatever the network does in a bare Exception
        raise no_data(name, directory, ", ".join(FILES), error) from error


def fetch(name: str, directory: Path) -> None:
    """Writes what Keras's loader downloads as the four files of `directory`/`name`."""
    train, test = download(name, str(directory))
    (directory / name).mkdir(parents=True, exist_ok=True)
    for file, array in zip(FILES, (*train, *test), strict=True):
        write_idx(directory / name / file, array)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Writes unsigned bytes as a gzipped IDX file; a file of that name is whole or not there."""
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    part = path.with_suffix(".part")
    part.write_bytes(gzip.compress(header + np.ascontiguousarray(array, np.uint8).tobytes(), compresslevel=6, mtime=0))
    part.replace(path)
