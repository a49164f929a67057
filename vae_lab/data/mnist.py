"""MNIST: handwritten digits, 60,000 and 10,000 images of 28 x 28 pixels."""

from vae_lab.data import idx
from vae_lab.data.dataset import Dataset

SHA256 = "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96"


def available(dir: str | None) -> bool:
    """Whether the data can be had without a download."""
    return idx.available("mnist", dir)


def load(dir: str | None, validation_size: int) -> Dataset:
    """Loads the data set; the last `validation_size` rows of the training file are the validation split."""
    return idx.load("mnist", dir, validation_size, SHA256)
