"""The frames of training as a film."""

import io

import numpy as np
from PIL import Image

from vae_lab.evaluation.pictures.sheet import titled
from vae_lab.evaluation.pictures.subject import Subject

SECONDS_A_FRAME, SECONDS_OF_THE_LAST = 0.5, 2.0
COLOURS = 256


def training(subject: Subject) -> bytes | None:
    """The decoder's means at fixed draws from the prior, epoch after epoch, as a GIF; None with fewer than 2 frames."""
    if len(subject.frames) < 2:
        return None
    pages = [titled(frame, f"Draws from the prior: {subject.data}, epoch {epoch}") for epoch, frame in subject.frames]
    return gif(pages)


def gif(pages: list[np.ndarray]) -> bytes:
    """Pictures uint8 [height,width,3] of any sizes, each padded with white to the largest -> a GIF that repeats.

    Greys stay what they are; colours become the 256 nearest of each picture.
    """
    height, width = (max(page.shape[axis] for page in pages) for axis in (0, 1))
    images = []
    for page in pages:
        missing = ((0, height - page.shape[0]), (0, width - page.shape[1]), (0, 0))
        whole = np.pad(page, missing, constant_values=255)
        grey = (whole == whole[..., :1]).all()
        image = Image.fromarray(whole[..., 0] if grey else whole)
        images.append(image if grey else image.quantize(COLOURS, dither=Image.Dither.NONE))
    milliseconds = [int(1000 * SECONDS_A_FRAME)] * (len(images) - 1) + [int(1000 * SECONDS_OF_THE_LAST)]
    target = io.BytesIO()
    images[0].save(
        target, format="GIF", save_all=True, append_images=images[1:], duration=milliseconds, loop=0, optimize=False
    )
    return target.getvalue()
