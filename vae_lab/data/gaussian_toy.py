"""Ten-dimensional Gaussian vectors, each divided by its largest entry: real values that need no file."""

import numpy as np

from vae_lab.data.dataset import Dataset, Split, hold_out, pixels_sha256

ROWS, TEST_ROWS, SIZE = 12_000, 1_000, 10
LOC, SCALE, SEED = 3.0, 1.75, 0


def load(validation_size: int) -> Dataset:
    """x / max(x) of x ~ N(3, 1.75^2) in ten dimensions, as images [1,10,1]: 12,000 rows, the last 1,000 for tests.

    The rows are the same everywhere: RandomState's stream is frozen.
    """
    x = np.random.RandomState(SEED).normal(LOC, SCALE, (ROWS, SIZE))
    pixels = (x / x.max(axis=1, keepdims=True)).astype(np.float32).reshape(ROWS, 1, SIZE, 1)
    rest, test = hold_out(Split(pixels), TEST_ROWS)
    train, val = hold_out(rest, validation_size)
    return Dataset("gaussian_toy", None, pixels_sha256(pixels), f"RandomState({SEED})", train, val, test)
