"""The plane of two latents."""

from statistics import NormalDist

import numpy as np

from vae_lab.evaluation.pictures.sheet import sheet, titled
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.prior.mvn import MVN

CELLS_A_SIDE = 15


def grid_latents() -> np.ndarray:
    """z [rows, columns, 2] at the midpoints of 15 equally probable intervals of N(0, 1) a side; z1 grows upward."""
    quantiles = np.array([NormalDist().inv_cdf((cell + 0.5) / CELLS_A_SIDE) for cell in range(CELLS_A_SIDE)])
    return np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1)


def latent_grid(subject: Subject) -> np.ndarray | None:
    """The decoder's means over the plane, by the prior's quantiles; None unless p(z) = N(0, I) in two dimensions.

    References: Kingma, Welling 2014, figure 4.
    """
    model = subject.views.model
    if not isinstance(model.prior, MVN) or model.latent_shape != (2,):
        return None
    z = grid_latents()
    decoded = subject.decoded(z.reshape(-1, 2))
    return titled(
        sheet(list(decoded.reshape(CELLS_A_SIDE, CELLS_A_SIDE, *decoded.shape[1:]))),
        subject.title("Decoder over the prior's quantiles", of_images=False),
        rows=[f"{value:.2f}" for value in z[:, 0, 1]],
        columns=[f"{value:.2f}" for value in z[0, :, 0]],
        axis="z0 to the right, z1 upward",
    )
