"""One latent at a time."""

import numpy as np

from vae_lab.evaluation.pictures.sheet import sheet, titled
from vae_lab.evaluation.pictures.subject import Subject

LATENTS = 10
STEPS = np.linspace(-3.0, 3.0, 11)  # standard deviations


def traversal_latents(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """The most active latents, as flat indices [l]; and z [l, steps, *latent] that move one of them each.

    All others stay at the posterior mean of the split's first image. The moved one goes over mean + step * standard
    deviation of the aggregate posterior, by draws: a range that any prior has in common with the data. On the sphere
    the others give way in proportion, and the range ends at the poles.
    """
    means = subject.encoded[0].reshape(len(subject.rows), -1)
    draws = subject.encoded[1].reshape(-1, means.shape[1])
    chosen = subject.by_activity[:LATENTS]
    model = subject.views.model
    z = np.empty((len(chosen), len(STEPS), means.shape[1]), means.dtype)
    for row, latent in enumerate(chosen):
        values = draws[:, latent].mean() + STEPS * draws[:, latent].std()
        z[row] = [model.space.moved(means[0], latent, value) for value in values]
    return chosen, z.reshape(*z.shape[:2], *model.latent_shape)


def traversals(subject: Subject) -> np.ndarray:
    """The decoder's means while one latent moves, a row a latent, the most active first."""
    chosen, z = traversal_latents(subject)
    decoded = subject.decoded(z.reshape(-1, *z.shape[2:]))
    return titled(
        sheet(list(decoded.reshape(*z.shape[:2], *decoded.shape[1:]))),
        subject.title("Latent traversals"),
        rows=[subject.latent_name(latent) for latent in chosen],
        columns=[f"{step:+.1f}" for step in STEPS],
        axis="standard deviations of q(z) from its mean; the other latents as in the first image",
    )
