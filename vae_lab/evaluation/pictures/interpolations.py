"""From one image to another."""

import numpy as np

from vae_lab.evaluation.pictures.frames import fixed_rows
from vae_lab.evaluation.pictures.sheet import sheet, titled
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.randomness import seed_for

PAIRS = 8
STEPS = np.linspace(0.0, 1.0, 9)


def interpolations(subject: Subject) -> np.ndarray:
    """Pairs of images, and between them the decoder's means on the shortest path between their posterior means.

    That is the straight line, on the sphere the great circle. Of discrete latents the means are probabilities, and
    decoded is what is most probable: one bit after the other flips on the way.
    """
    first, last = np.split(fixed_rows(len(subject.images), 2 * PAIRS), 2)
    starts, ends = (
        subject.views.encode(subject.images.rows(rows), seed_for(subject.seed, "interpolations"))[0]
        for rows in (first, last)
    )
    path = [np.asarray(subject.views.model.space.between(starts, ends, step)) for step in STEPS]
    between = np.stack([subject.decoded(z) for z in path], axis=1)
    rows = np.concatenate([subject.shown(first)[:, np.newaxis], between, subject.shown(last)[:, np.newaxis]], axis=1)
    return titled(
        sheet(list(rows)),
        subject.title("Interpolations"),
        columns=["x", *(f"{step:g}" for step in STEPS), "x"],
        axis="share of the right image's mean latent",
    )
