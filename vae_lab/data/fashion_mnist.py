"""Fashion-MNIST: pieces of clothing, 60,000 and 10,000 images of 28 x 28 pixels."""

from vae_lab.data import idx
from vae_lab.data.dataset import Dataset

SHA256 = "0fbbfcb392782b3b702472ead3688778e1509e8cf40f5c24d9d3303618b193ab"


def available(dir: str | None) -> bool:
    """Whether the data can be had without a download."""
    return idx.available("fashion_mnist", dir)


def load(dir: str | None, validation_size: int) -> Dataset:
    """Loads the data set; the last `validation_size` rows of the training file are the validation split."""
    return idx.load("fashion_mnist", dir, validation_size, SHA256)
