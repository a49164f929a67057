"""MNIST: handwritten digits, 60,000 and 10,000 images of 28 x 28 pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vae_lab.data import idx
from vae_lab.data.dataset import Dataset

SHA256 = "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96"


def available(dir: str | None) -> bool:
    """Whether the data can be had without a download."""
    return idx.available("mnist", dir)


def files(dir: str | None, **settings: Any) -> list[Path]:
    """The files at hand."""
    return idx.files("mnist", dir)


def in_folder(dir: Path) -> bool:
    """Whether the four files are in `dir`/mnist."""
    return idx.local_files("mnist", str(dir)) is not None


def fetch(dir: Path) -> None:
    """Downloads the data set into `dir`/mnist."""
    idx.fetch("mnist", dir)


def facts(dir: str | None, validation_size: int, pad_to: Sequence[int] | None = None) -> dict[str, Any]:
    """The size that padding gives the images."""
    return idx.facts(pad_to)


def load(dir: str | None, validation_size: int, pad_to: Sequence[int] | None = None) -> Dataset:
    """Loads the data set; the last `validation_size` rows of the training file are the validation split."""
    return idx.load("mnist", dir, validation_size, SHA256, pad_to)
