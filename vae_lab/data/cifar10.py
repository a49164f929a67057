"""CIFAR-10: 50,000 and 10,000 colour images of 32 x 32 pixels in ten classes (Krizhevsky 2009).

Read from the binary version; the Python version is pickled, and nothing here unpickles.
"""

import hashlib
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data.dataset import Dataset, Split, hold_out
from vae_lab.data.download import KERAS_CACHE, download
from vae_lab.errors import UsageError, told

ARCHIVE = "cifar-10-binary.tar.gz"
ORIGIN = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
# Of the archive, whose files are known by their MD5: together they stand for the pixels.
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
FOLDER = "cifar-10-batches-bin"
MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
RECORD = 1 + 3 * 32 * 32  # a label, then a byte for each pixel, red before green before blue


def local_files(dir: str | None) -> list[Path]:
    """The six files of the archive's folder, or the archive, in `dir`/cifar10; none where they are not all there."""
    if dir is None:
        return []
    here = Path(dir).expanduser() / "cifar10"
    candidates = [[here / FOLDER / name for name in MD5], [here / ARCHIVE]]
    return next((paths for paths in candidates if all(path.is_file() for path in paths)), [])


def files(dir: str | None, **settings: Any) -> list[Path]:
    """The files at hand: in `dir`, else the archive that Keras has downloaded."""
    return local_files(dir) or [path for path in [KERAS_CACHE / ARCHIVE] if path.is_file()]


def in_folder(dir: Path) -> bool:
    """Whether the archive, or its folder with all six files, is in `dir`/cifar10."""
    return bool(local_files(str(dir)))


def available(dir: str | None) -> bool:
    """Whether the data can be had without a download."""
    return bool(files(dir))


def fetch(dir: Path) -> None:
    """Downloads the archive into `dir`/cifar10."""
    download("cifar10", str(dir), ARCHIVE, ORIGIN, SHA256, dir)


def load(dir: str | None, validation_size: int) -> Dataset:
    """Loads the data set; the last `validation_size` rows of the training batches are the validation split.

    Raises:
      UsageError: when there are no files and no network, or the files are not the original ones.
    """
    local = local_files(dir)
    if len(local) == len(MD5):
        source, batches = local[0].parent, {path.name: path.read_bytes() for path in local}
    else:
        source = local[0] if local else download("cifar10", dir, ARCHIVE, ORIGIN, SHA256)
        batches = read_archive(source)
    for name, content in batches.items():
        if (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != MD5[name]:
            raise UsageError(
                f"data=cifar10: {name} in {source} has MD5 {found[:12]}..., not {MD5[name][:12]}...; get it again"
            )
    *training, test = (records(content) for content in batches.values())
    pixels, labels = (np.concatenate([getattr(batch, of) for batch in training]) for of in ("pixels", "labels"))
    train, val = hold_out(Split(pixels, labels), validation_size)
    return Dataset("cifar10", 256, SHA256, str(source), train, val, test)


def read_archive(path: Path) -> dict[str, bytes]:
    """The six files of the archive, by name."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if Path(member.name).name in MD5 else None
                if content is not None:
                    found[Path(member.name).name] = content.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UsageError(f"{path} is not a complete archive ({told(error)}); get it again") from error
    if set(found) != set(MD5):
        raise UsageError(f"{path} has no {', '.join(sorted(set(MD5) - set(found)))}; get {ARCHIVE} again")
    return {name: found[name] for name in MD5}


def records(content: bytes) -> Split:
    """The images uint8 [N,32,32,3] and labels of a batch file."""
    rows = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return Split(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, 0])
