"""Images, and what the model makes of them."""

import numpy as np

from vae_lab.evaluation.pictures.frames import fixed_rows
from vae_lab.evaluation.pictures.sheet import COLUMNS, sheet, titled
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.randomness import seed_for

DRAWS = 3


def reconstructions(subject: Subject) -> np.ndarray:
    """Fixed images above the decoder's means at the posterior's mean and at draws from the posterior.

    On the sphere the mean stands for its direction; of discrete latents, which have no mean among them, it is the mode.
    """
    rows = fixed_rows(len(subject.images), COLUMNS)
    seed = seed_for(subject.seed, "reconstructions")
    mean, draws = subject.views.encode(subject.images.rows(rows), seed)
    picture = sheet([subject.shown(rows), *(subject.decoded(z) for z in (mean, *draws[:DRAWS]))])
    middle = "mean of q" if subject.views.model.space.states is None else "mode of q"
    return titled(picture, subject.title("Reconstructions"), rows=["x", middle, *["draw of q"] * DRAWS])
