"""Data sets in the IDX format of MNIST: four gzipped files by the names everyone uses."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data.dataset import Dataset, Split, hold_out, pixels_sha256, require_sha256
from vae_lab.errors import UsageError

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
        raise UsageError(f"{path} is not a complete gzip file ({error}); get it again") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise UsageError(f"{path} is not an IDX file of unsigned bytes (it begins with {content[:4].hex()})")
    rank = content[3]
    shape = struct.unpack_from(f">{rank}I", content, 4)
    start = 4 + 4 * rank
    if len(content) - start != math.prod(shape):
        raise UsageError(f"{path} holds {len(content) - start} bytes where its header promises {math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def local_files(name: str, directory: str | None) -> list[Path] | None:
    """The four files of a data set below `directory`, or None where they do not all lie there."""
    if directory is None:
        return None
    paths = [Path(directory).expanduser() / name / file for file in FILES]
    return paths if all(path.is_file() for path in paths) else None


def available(name: str, directory: str | None) -> bool:
    """Whether `load` will find the data without a download."""
    archive = {"mnist": "mnist.npz", "fashion_mnist": f"fashion-mnist/{FILES[0]}"}[name]
    return local_files(name, directory) is not None or (keras_cache() / archive).is_file()


def keras_cache() -> Path:
    """Where Keras keeps what it has downloaded."""
    return Path("~/.keras/datasets").expanduser()


def load(name: str, directory: str | None, validation_size: int, sha256: str) -> Dataset:
    """Loads a data set from local files, else by Keras's own loader.

    Raises:
      UsageError: when neither works, or the pixels are not those of the data set.
    """
    paths = local_files(name, directory)
    if paths is not None:
        source = str(paths[0].parent)
        train = Split(*(read_idx(path) for path in paths[:2]))
        test = Split(*(read_idx(path) for path in paths[2:]))
    else:
        source = f"keras.datasets.{name}"
        train, test = (Split(*arrays) for arrays in download(name, directory))
    digest = require_sha256(name, source, pixels_sha256(train.pixels, test.pixels), sha256)
    train, test = (Split(split.pixels[..., None], split.labels) for split in (train, test))
    train, val = hold_out(train, validation_size)
    return Dataset(name, 256, digest, source, train, val, test)


def download(name: str, directory: str | None) -> Any:
    """((images, labels) of the training file, (images, labels) of the test file), by Keras's loader."""
    import keras

    try:
        return getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras wraps whatever the network does in a bare Exception
        where = f"{directory}/{name}" if directory else f"<data.dir>/{name}, and set data.dir or VAE_LAB_DATA"
        raise UsageError(
            f"data={name}: no files in data.dir={directory}, and the download failed ({str(error)[:100]}).\n"
            f"Put {', '.join(FILES)} into {where}."
        ) from error
