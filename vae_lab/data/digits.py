"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels and 17 grey levels, inside its package."""

import numpy as np

from vae_lab.data.dataset import Dataset, Split, hold_out, pixels_sha256, require_sha256

SHA256 = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
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
    digest = require_sha256("digits", "scikit-learn", pixels_sha256(pixels), SHA256)
    return Dataset("digits", 17, digest, "scikit-learn", train, val, test)
