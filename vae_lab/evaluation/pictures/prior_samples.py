"""What the model makes of nothing."""

import numpy as np

from vae_lab.evaluation.pictures.frames import PRIOR_ROWS
from vae_lab.evaluation.pictures.sheet import COLUMNS, cells, sheet, titled
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.randomness import seed_for


def prior_samples(subject: Subject) -> np.ndarray:
    """At fixed draws from the prior, those of the frames: the mean of p(x|z), and below it one draw of x."""
    z = subject.views.prior(PRIOR_ROWS * COLUMNS, seed_for(subject.seed, "prior samples"))
    drawn = cells(subject.views.decode_draw(z, seed_for(subject.seed, "prior draws")), subject.limits)
    pairs = zip(np.split(subject.decoded(z), PRIOR_ROWS), np.split(drawn, PRIOR_ROWS), strict=True)
    picture = sheet([row for pair in pairs for row in pair])
    return titled(
        picture,
        subject.title("Draws from the prior", of_images=False),
        rows=["mean of p(x|z)", "draw of x"] * PRIOR_ROWS,
    )
