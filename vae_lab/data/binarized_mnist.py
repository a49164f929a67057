"""MNIST as Larochelle binarized it once (Salakhutdinov, Murray 2008): 50,000, 10,000 and 10,000 rows.

The rows are not in MNIST's order, and the test file is grouped by digit: its first rows are all zeros.
"""

from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data.dataset import Dataset, Split, pixels_sha256, require_sha256
from vae_lab.data.download import KERAS_CACHE, download
from vae_lab.data.npz import BROKEN
from vae_lab.errors import UsageError, told

SHA256 = "07ad6da6ba6894a550cb68ae290ff3deb006a01f6b6ce1b3123edec502f1fce8"
ROWS = {"train": 50_000, "valid": 10_000, "test": 10_000}
PACKED = "binarized_mnist_packed.npz"
ORIGIN = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
# Of Larochelle's text files, as published in the checksums of TensorFlow Datasets.
AMAT_SHA256 = {
    "train": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "valid": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "test": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}


def amat(split: str) -> str:
    """Name of Larochelle's text file of a split."""
    return f"binarized_mnist_{split}.amat"


def read_amat(path: Path) -> np.ndarray:
    """Reads a text file of rows "0 1 ...", each digit followed by one separator; uint8 [N, 784]."""
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if content.size % (2 * 784):
        raise UsageError(f"{path} is not made of rows of 784 zeros and ones; get it again")
    return (content[::2] - ord("0")).reshape(-1, 784)


def read_packed(path: Path) -> dict[str, np.ndarray]:
    """Reads the npz with 98 packed bytes a row; uint8 [N, 784] by split."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as packed:
            return {split: np.unpackbits(packed[split], axis=1, count=784) for split in ROWS}
    except BROKEN as error:
        raise UsageError(
            f"{path} is not an npz with packed arrays train, valid and test ({told(error)}); get it again"
        ) from error


def local_files(dir: str | None) -> list[Path]:
    """The packed npz or the three .amat files in `dir`/binarized_mnist; none where they are not all there."""
    if dir is None:
        return []
    here = Path(dir).expanduser() / "binarized_mnist"
    candidates = [[here / PACKED], [here / amat(split) for split in ROWS]]
    return next((paths for paths in candidates if all(path.is_file() for path in paths)), [])


def files(dir: str | None, **settings: Any) -> list[Path]:
    """The files at hand: in `dir`, else those that Keras has downloaded."""
    cached = [KERAS_CACHE / amat(split) for split in ROWS]
    return local_files(dir) or (cached if all(path.is_file() for path in cached) else [])


def available(dir: str | None) -> bool:
    """Whether the data can be had without a download."""
    return bool(files(dir))


def in_folder(dir: Path) -> bool:
    """Whether the packed npz or the three .amat files are in `dir`/binarized_mnist."""
    return bool(local_files(str(dir)))


def fetch(dir: Path) -> None:
    """Downloads the three .amat files into `dir`/binarized_mnist."""
    for split in ROWS:
        download_amat(split, str(dir), dir)


def load(dir: str | None, validation_size: int) -> Dataset:
    """Loads the three files from `dir`/binarized_mnist (packed npz or .amat), else downloads Larochelle's.

    Raises:
      UsageError: when there are no files and no network, or the pixels are not Larochelle's.
    """
    local = local_files(dir)
    source = str(local[0].parent) if local else ORIGIN
    paths = local or [download_amat(split, dir) for split in ROWS]
    packed = paths[0].name == PACKED
    rows = (
        read_packed(paths[0]) if packed else {split: read_amat(path) for split, path in zip(ROWS, paths, strict=True)}
    )
    digest = require_sha256("binarized_mnist", source, pixels_sha256(*rows.values()), SHA256)
    train, val, test = (Split(split.reshape(-1, 28, 28, 1)) for split in rows.values())
    return Dataset("binarized_mnist", 2, digest, source, train, val if validation_size else val[:0], test)


def download_amat(split: str, dir: str | None, into: Path | None = None) -> Path:
    """Larochelle's text file of a split, in Keras's cache or in `into`/binarized_mnist."""
    return download("binarized_mnist", dir, amat(split), ORIGIN + amat(split), AMAT_SHA256[split], into)
