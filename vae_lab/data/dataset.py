"""What every data set is, and how its rows are split and pinned."""

import hashlib
from dataclasses import dataclass

import numpy as np

from vae_lab.errors import UsageError


@dataclass(frozen=True)
class Split:
    """Rows that belong together: pixels uint8 [N,H,W,C] and, where known, labels [N]."""

    pixels: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> "Split":
        return Split(self.pixels[rows], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class Dataset:
    """Three splits that never overlap; pixels are the integers 0 .. levels - 1."""

    name: str
    levels: int
    sha256: str  # of all pixels, train, val and test in the files' order
    source: str  # where the files were found
    train: Split
    val: Split
    test: Split

    def splits(self) -> dict[str, Split]:
        """The splits that have rows, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in named.items() if len(split)}


def hold_out(training_file: Split, rows: int) -> tuple[Split, Split]:
    """The training file without its last `rows` rows, and those rows."""
    cut = len(training_file) - rows
    return training_file[:cut], training_file[cut:]


def pixels_sha256(*files: np.ndarray) -> str:
    """SHA-256 of the pixels' bytes, file after file."""
    digest = hashlib.sha256()
    for pixels in files:
        digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def require_sha256(name: str, source: str, found: str, pinned: str) -> str:
    """Returns the digest.

    Raises:
      UsageError: when the pixels are not the data set of that name.
    """
    if found != pinned:
        raise UsageError(
            f"data={name}: the pixels in {source} have SHA-256 {found[:12]}..., not {pinned[:12]}...; "
            "remove these files and get the original ones"
        )
    return found
