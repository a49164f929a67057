"""What each layer of latents decides."""

import numpy as np

from vae_lab.evaluation.pictures.sheet import COLUMNS, sheet, titled
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.randomness import seed_for

ROWS = 3  # draws from the prior whose upper layers are held


def layer_samples(subject: Subject) -> np.ndarray | None:
    """Along a row the upper layers are one draw from the prior, and those below are drawn again for each cell.

    Three rows with z_2 and all above it held, three with z_3 and all above it, and so on; the mean of p(x|z). None
    where the prior has no layers.
    """
    prior = subject.views.model.latent_prior()
    if not hasattr(prior, "redrawn"):
        return None
    z = np.repeat(subject.views.prior(ROWS, seed_for(subject.seed, "layer samples")), COLUMNS, axis=0)
    pictures, names = [], []
    for held in range(1, len(subject.views.model.space.sizes)):
        again = prior.redrawn(z, held, seed_for(subject.seed, "layers drawn again", held)).numpy()
        pictures += np.split(subject.decoded(again), ROWS)
        names += [f"z_{held + 1} held" if held + 1 == len(subject.views.model.space.sizes) else f"z_{held + 1}... held"]
        names += [""] * (ROWS - 1)
    return titled(sheet(pictures), subject.title("Draws below held layers", of_images=False), rows=names)
