"""OMNIGLOT as the importance-weighted autoencoder's authors reduced it: 24,345 and 8,070 letters of 28 x 28 pixels.

Values are real, in [0, 1]. No digest of the file is published, so its sizes alone are checked, and a run's identity
comes from what the file holds.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data import own
from vae_lab.data.dataset import Dataset, Split, hold_out, pixels_sha256
from vae_lab.data.download import KERAS_CACHE, download
from vae_lab.data.matlab import read_mat

FILE = "chardata.mat"
ORIGIN = f"https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/{FILE}"
TRAIN_ROWS, TEST_ROWS, ALPHABETS = 24_345, 8_070, 50
SHAPES = {
    "data": (784, TRAIN_ROWS),
    "target": (ALPHABETS, TRAIN_ROWS),
    "testdata": (784, TEST_ROWS),
    "testtarget": (ALPHABETS, TEST_ROWS),
}


def local_file(dir: str | None) -> Path | None:
    """The file in `dir`/omniglot, else in Keras's cache."""
    candidates = (
        [KERAS_CACHE / FILE] if dir is None else [Path(dir).expanduser() / "omniglot" / FILE, KERAS_CACHE / FILE]
    )
    return next((path for path in candidates if path.is_file()), None)


def available(dir: str | None) -> bool:
    """Whether the data can be had without a download."""
    return local_file(dir) is not None


def files(dir: str | None, **settings: Any) -> list[Path]:
    """The file, downloaded if need be."""
    return [local_file(dir) or download("omniglot", dir, FILE, ORIGIN, None)]


def in_folder(dir: Path) -> bool:
    """Whether the file is in `dir`/omniglot."""
    return (dir / "omniglot" / FILE).is_file()


def fetch(dir: Path) -> None:
    """Downloads the file into `dir`/omniglot."""
    download("omniglot", str(dir), FILE, ORIGIN, None, dir)


def load(dir: str | None, validation_size: int, split_seed: int | None) -> Dataset:
    """Loads the data set; labels are the alphabets.

    Args:
      dir: folder that holds omniglot/.
      validation_size: rows held out of the training rows.
      split_seed: of the random order before that; None keeps the file's, in which letters stand together.

    Raises:
      UsageError: when there is no file and no network, or not such letters in it.
    """
    (path,) = files(dir)
    arrays = read_mat(path, SHAPES)
    train, test = (
        Split(letters(path, arrays[x]), arrays[y].argmax(0))
        for x, y in (("data", "target"), ("testdata", "testtarget"))
    )
    digest = pixels_sha256(train.pixels, test.pixels)
    train, val = hold_out(train, validation_size, split_seed)
    return Dataset("omniglot", None, digest, str(path), train, val, test)


def letters(path: Path, columns: np.ndarray) -> np.ndarray:
    """[784,N], a letter a column and its pixels column after column -> upright float32 [N,28,28,1]."""
    upright = columns.T.reshape(-1, 28, 28).transpose(0, 2, 1)
    return own.to_pixels(path, upright, (28, 28, 1), own.UNIT)
