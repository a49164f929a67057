"""The plane of two latents, or the sphere of three."""

from statistics import NormalDist

import numpy as np

from vae_lab.evaluation.pictures.sheet import sheet, titled
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.prior.mvn import MVN
from vae_lab.prior.uniform_sphere import UniformSphere

CELLS_A_SIDE = 15


def grid_latents() -> np.ndarray:
    """z [rows, columns, 2] at the midpoints of 15 equally probable intervals of N(0, 1) a side; z1 grows upward."""
    quantiles = np.array([NormalDist().inv_cdf((cell + 0.5) / CELLS_A_SIDE) for cell in range(CELLS_A_SIDE)])
    return np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1)


def sphere_latents() -> np.ndarray:
    """z [rows, columns, 3] at the midpoints of cells of equal area on the sphere; longitude eastward, z2 upward."""
    middles = (np.arange(CELLS_A_SIDE) + 0.5) / CELLS_A_SIDE
    longitude, height = np.meshgrid(2 * np.pi * middles - np.pi, 1 - 2 * middles)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(longitude), radius * np.sin(longitude), height], axis=-1)


def latent_grid(subject: Subject) -> np.ndarray | None:
    """The decoder's means where the prior puts equal probability; None unless p(z) is one of two known ones.

    Those are N(0, I) in two dimensions, and the uniform distribution on the sphere in three, whose map is Lambert's of
    equal areas.

    References: Kingma, Welling 2014, figure 4.
    """
    model = subject.views.model
    if isinstance(model.prior, MVN) and model.latent_shape == (2,):
        z, title, axis = grid_latents(), "Decoder over the prior's quantiles", "z0 to the right, z1 upward"
        rows, columns = ([f"{value:.2f}" for value in line] for line in (z[:, 0, 1], z[0, :, 0]))
    elif isinstance(model.prior, UniformSphere) and model.latent_shape == (3,):
        z, title, axis = sphere_latents(), "Decoder over the sphere", "degrees around z2; z2 upward"
        rows = [f"{value:.2f}" for value in z[:, 0, 2]]
        columns = [f"{value:.0f}" for value in np.degrees(np.arctan2(z[0, :, 1], z[0, :, 0]))]
    else:
        return None
    decoded = subject.decoded(z.reshape(-1, z.shape[-1]))
    return titled(
        sheet(list(decoded.reshape(CELLS_A_SIDE, CELLS_A_SIDE, *decoded.shape[1:]))),
        subject.title(title, of_images=False),
        rows=rows,
        columns=columns,
        axis=axis,
    )
