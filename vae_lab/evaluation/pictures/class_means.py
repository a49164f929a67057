"""What each class looks like at the middle of its latents."""

import numpy as np

from vae_lab.data.images import scaled
from vae_lab.evaluation.pictures.sheet import cells, sheet, titled
from vae_lab.evaluation.pictures.subject import Subject

MOST_CLASSES = 20


def class_means(subject: Subject) -> np.ndarray | None:
    """The mean image of each class above the decoder's mean at its mean latent; None without labels.

    The mean latent of a class is that of its posterior means, brought to the latent space: on the sphere its direction,
    of discrete latents the nearest.
    """
    labels = subject.encoded_labels
    if labels is None:
        return None
    classes = np.unique(labels)
    shown = classes[:MOST_CLASSES]
    mean, _ = subject.encoded
    latents = np.stack([mean[labels == label].mean(axis=0) for label in shown])
    images = np.stack([subject.images.pixels[subject.rows[labels == label]].mean(axis=0) for label in shown])
    what = "Class means" if len(classes) == len(shown) else f"Means of {len(shown)} of {len(classes)} classes"
    decoded = subject.decoded(latents)
    return titled(
        sheet([cells(scaled(images, subject.images.levels), subject.limits), decoded]),
        subject.title(what),
        rows=["mean of x", "x at mean z"],
        columns=[subject.class_name(label) for label in shown],
    )
