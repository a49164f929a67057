"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels and 17 grey levels, inside its package."""

import numpy as np

from vae_lab.data.dataset import Dataset, Split, hold_out, pixels_sha256

TEST_ROWS = 360


def available(dir: str | None) -> bool:
    """Always: the package holds them."""
    return True


def load(dir: str | None, validation_size: int) -> Dataset:
    """Loads the data set; the last 360 rows are the test split, the `validation_size` before them validation."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = digits.images.astype(np.uint8)[..., None]
    everything = Split(pixels, digits.target.astype(np.uint8))
    training_file, test = hold_out(everything, TEST_ROWS)
    train, val = hold_out(training_file, validation_size)
    return Dataset("digits", 17, pixels_sha256(pixels), "scikit-learn", train, val, test)
