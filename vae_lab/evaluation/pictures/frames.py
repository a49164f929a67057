"""The pictures of an epoch: cheap, bare, and from the same rows and noise in every epoch and run."""

import numpy as np

from vae_lab.data.images import Images, scaled
from vae_lab.evaluation.aggregate import spread_rows
from vae_lab.evaluation.pictures.sheet import COLUMNS, cells, limits_of, sheet
from vae_lab.evaluation.pictures.views import Views
from vae_lab.randomness import seed_for

PRIOR_ROWS = 4


def fixed_rows(size: int, count: int) -> np.ndarray:
    """`count` rows evenly over a split of that size; rows repeat in a split that has fewer."""
    return np.resize(spread_rows(size, count), count)


def reconstruction_frame(views: Views, images: Images) -> np.ndarray:
    """Images of a split above their means under p(x|z) at the posterior's mean (of discrete latents: mode), twice."""
    shown, limits = images.rows(fixed_rows(len(images), 2 * COLUMNS)), limits_of(images)
    z, _ = views.encode(shown, seed_for(0, "frame"))
    x, mean = (cells(values, limits) for values in (scaled(shown.pixels, shown.levels), views.decode(z)))
    return sheet([x[:COLUMNS], mean[:COLUMNS], x[COLUMNS:], mean[COLUMNS:]])


def prior_frame(views: Views, limits: tuple[float, float], seed: int) -> np.ndarray:
    """Means under p(x|z) at draws from the prior by the same noise: the same z at every epoch of a fixed prior."""
    z = views.prior(PRIOR_ROWS * COLUMNS, seed_for(seed, "prior samples"))
    mean = cells(views.decode(z), limits)
    return sheet(list(mean.reshape(PRIOR_ROWS, COLUMNS, *mean.shape[1:])))


def epoch_frames(views: Views, images: Images, seed: int) -> dict[str, np.ndarray]:
    """The frames of the present weights, uint8 [height,width,3], by key."""
    return {
        "reconstructions": reconstruction_frame(views, images),
        "prior_samples": prior_frame(views, limits_of(images), seed),
    }
