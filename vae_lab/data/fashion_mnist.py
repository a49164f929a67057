"""Fashion-MNIST: pieces of clothing, 60,000 and 10,000 images of 28 x 28 pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vae_lab.data import idx
from vae_lab.data.dataset import Dataset

SHA256 = "0fbbfcb392782b3b702472ead3688778e1509e8cf40f5c24d9d3303618b193ab"


def available(dir: str | None) -> bool:
    """Whether the data can be had without a download."""
    return idx.available("fashion_mnist", dir)


def files(dir: str | None, **settings: Any) -> list[Path]:
    """The files at hand."""
    return idx.files("fashion_mnist", dir)


def in_folder(dir: Path) -> bool:
    """Whether the four files are in `dir`/fashion_mnist."""
    return idx.local_files("fashion_mnist", str(dir)) is not None


def fetch(dir: Path) -> None:
    """Downloads the data set into `dir`/fashion_mnist."""
    idx.fetch("fashion_mnist", dir)


def facts(dir: str | None, validation_size: int, pad_to: Sequence[int] | None = None) -> dict[str, Any]:
    """The size that padding gives the images."""
    return idx.facts(pad_to)


def load(dir: str | None, validation_size: int, pad_to: Sequence[int] | None = None) -> Dataset:
    """Loads the data set; the last `validation_size` rows of the training file are the validation split."""
    return idx.load("fashion_mnist", dir, validation_size, SHA256, pad_to)
