"""The pictures at the end of a run."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from vae_lab.evaluation.pictures import PICTURES
from vae_lab.evaluation.pictures.animation import training
from vae_lab.evaluation.pictures.class_means import class_means
from vae_lab.evaluation.pictures.interpolations import interpolations
from vae_lab.evaluation.pictures.latent_density import latent_density
from vae_lab.evaluation.pictures.latent_grid import latent_grid
from vae_lab.evaluation.pictures.latent_space import latent_space
from vae_lab.evaluation.pictures.layer_samples import layer_samples
from vae_lab.evaluation.pictures.loss_curves import loss_curves
from vae_lab.evaluation.pictures.prior_samples import prior_samples
from vae_lab.evaluation.pictures.reconstructions import reconstructions
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.evaluation.pictures.traversals import traversals

DOTS_AN_INCH = 120
DRAWN: dict[str, Callable[[Subject], Any]] = {
    function.__name__: function
    for function in (
        reconstructions,
        prior_samples,
        class_means,
        traversals,
        latent_grid,
        interpolations,
        training,
        latent_density,
        loss_curves,
        layer_samples,
        latent_space,
    )
}
assert set(DRAWN) == set(PICTURES)


def file_of(name: str, drawn: Any) -> tuple[str, bytes]:
    """A picture's file name and content: PNG of an array or a figure, HTML of a text, GIF of bytes."""
    if isinstance(drawn, bytes):
        return f"{name}.gif", drawn
    if isinstance(drawn, str):
        return f"{name}.html", drawn.encode()
    target = io.BytesIO()
    if isinstance(drawn, np.ndarray):
        Image.fromarray(drawn).save(target, format="PNG")
    else:
        drawn.savefig(target, format="png", dpi=DOTS_AN_INCH)
    return f"{name}.png", target.getvalue()


def final_pictures(
    subject: Subject, names: Sequence[str], own: Mapping[str, Callable[[Subject], Any]] | None = None
) -> Iterator[tuple[str, bytes]]:
    """File name and content of each picture named, and of the user's own; those without a meaning are left out."""
    for name, draw in ({name: DRAWN[name] for name in names} | dict(own or {})).items():
        drawn = draw(subject)
        if drawn is not None:
            yield file_of(name, drawn)
