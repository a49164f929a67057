"""Contact sheets of a model from fixed rows and fixed latents, so that frames compare over epochs and runs."""

import numpy as np

from vae_lab.binarization import intensities
from vae_lab.randomness import seed_for

COLUMNS = 10
CELL = 56  # pixels of a cell's longer side, at least: small digits are enlarged by a whole number


def contact_sheet(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of images [COLUMNS,H,W,C] in [0, 1], top to bottom -> one uint8 picture [height,width,3]."""
    grid = np.stack(rows)
    zoom = max(1, CELL // max(grid.shape[2:4]))
    grid = grid.repeat(zoom, axis=2).repeat(zoom, axis=3)
    grid = np.pad(grid, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0)
    height, width, channels = grid.shape[2:]
    sheet = grid.transpose(0, 2, 1, 3, 4).reshape(len(rows) * height, COLUMNS * width, channels)
    sheet = np.repeat(sheet, 3, axis=-1) if channels == 1 else sheet
    return np.round(255 * np.clip(sheet, 0.0, 1.0)).astype(np.uint8)


def spread_rows(pixels: np.ndarray, count: int = 2 * COLUMNS) -> np.ndarray:
    """`count` rows evenly over a split, since some files are grouped by class."""
    return pixels[np.linspace(0, len(pixels) - 1, count).round().astype(int)]


def reconstructions(model, pixels: np.ndarray, levels: int) -> np.ndarray:
    """Sheet of fixed rows of a split: images above their means under p(x|z) at the posterior's mean."""
    x = intensities(spread_rows(pixels), levels)
    mean = model.decode(model.encode(x).mean()).mean().numpy()
    x = x.numpy()
    return contact_sheet([x[:COLUMNS], mean[:COLUMNS], x[COLUMNS:], mean[COLUMNS:]])


def prior_samples(model, seed: int, rows: int = 4) -> np.ndarray:
    """Sheet of means under p(x|z) at fixed draws from the prior."""
    z = model.latent_prior().sample(rows * COLUMNS, seed=seed_for(seed, "prior samples"))
    mean = model.decode(z).mean().numpy()
    return contact_sheet(list(mean.reshape(rows, COLUMNS, *mean.shape[1:])))
