"""The prior beside the aggregate posterior."""

import numpy as np
from matplotlib.figure import Figure

from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.randomness import seed_for

PRIOR_DRAWS = 20_000
BEYOND = 0.001  # share of each latent's draws that may lie outside the picture, a side
COLOURS = "BuPu"  # white where there is nothing


def draws(subject: Subject) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Flat indices of the two latents, and draws [n,2] of them from the prior and from the aggregate posterior.

    Of two latents both, in their order; of more the two most active.
    """
    latents = len(subject.by_activity)
    first, second = (0, 1) if latents == 2 else (int(latent) for latent in subject.by_activity[:2])
    prior = subject.views.prior(PRIOR_DRAWS, seed_for(subject.seed, "density")).reshape(-1, latents)
    aggregate = subject.encoded[1].reshape(-1, latents)
    return (first, second), prior[:, [first, second]], aggregate[:, [first, second]]


def densities(points: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Sets of points [n,2] -> densities [bins, bins] (first latent first) on bins they share, and the bins' edges."""
    bins = round(1.4 * min(len(each) for each in points) ** (1 / 3))  # finer ones would show the draws
    together = np.concatenate(points)
    low, high = np.quantile(together, [BEYOND, 1 - BEYOND], axis=0)
    edges = [np.linspace(low[axis], high[axis], bins + 1) for axis in (0, 1)]
    cell = np.diff(edges[0])[0] * np.diff(edges[1])[0]
    counted = [np.histogram2d(each[:, 0], each[:, 1], bins=edges)[0] / (len(each) * cell) for each in points]
    return counted, edges[0], edges[1]


def latent_density(subject: Subject) -> Figure | None:
    """Histograms of draws from p(z) and from the aggregate posterior, on one scale; None of a single latent.

    Both by draws, so that every prior, posterior and number of latents is drawn alike. None of discrete latents, two of
    which have a handful of values and no plane of them.
    """
    if len(subject.by_activity) < 2 or subject.views.model.space.states is not None:
        return None
    (first, second), prior, aggregate = draws(subject)
    counted, across, upward = densities([prior, aggregate])
    figure = Figure(figsize=(8.8, 4.0))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    highest = max(density.max() for density in counted)
    for panel, density, name in zip(axes, counted, ("prior p(z)", "aggregate posterior q(z)"), strict=True):
        mesh = panel.pcolormesh(across, upward, density.T, cmap=COLOURS, vmin=0, vmax=highest, rasterized=True)
        panel.set(title=name, xlabel=subject.latent_name(first))
    axes[0].set_ylabel(subject.latent_name(second))
    figure.subplots_adjust(left=0.07, right=0.86, bottom=0.13, top=0.84, wspace=0.08)
    figure.colorbar(mesh, cax=figure.add_axes((0.88, 0.13, 0.02, 0.71)), label="density by draws")
    figure.suptitle(subject.title("Latents"))
    return figure
