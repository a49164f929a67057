"""A folder of a user's own with PNG or JPEG images; sub-folders are labels."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from vae_lab.data import own
from vae_lab.data.dataset import Dataset, Split
from vae_lab.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg")
MODES = {1: "L", 3: "RGB"}
LEVELS = 256


def files(path: str | None, **settings: Any) -> list[Path]:
    """All images, in the order of their names."""
    folder = own.existing("image_folder", path, folder=True)
    return list(_listed(folder, _changes(folder)))


def facts(
    path: str | None,
    size: Sequence[int] | None,
    channels: int,
    **splitting: Any,
) -> dict[str, Any]:
    """Shape, levels and rows, from the names of the files and, without `size`, the first image."""
    folder = own.existing("image_folder", path, folder=True)
    images = files(path)
    shape = image_shape(images[0], size, channels)
    return own.facts(folder, shape, LEVELS, len(images), None, own.Splitting(**splitting))


def load(
    path: str | None,
    size: Sequence[int] | None,
    channels: int,
    **splitting: Any,
) -> Dataset:
    """Loads all images, grey (`channels` 1) or coloured (3), resized to `size` [H, W] where one is given.

    Raises:
      UsageError: when there are none, one is broken, or without `size` they differ in theirs.
    """
    folder = own.existing("image_folder", path, folder=True)
    images = files(path)
    height, width, _ = image_shape(images[0], size, channels)
    pixels = np.empty((len(images), height, width, channels), np.uint8)
    for row, file in enumerate(images):
        image = opened(file)
        if image.size != (width, height):
            if size is None:
                raise UsageError(
                    f"{file} has {image.size[1]}x{image.size[0]} pixels, and {images[0].name} {height}x{width}; "
                    "say data.size=[H,W] to resize them"
                )
            # Bilinear; Pillow averages over the pixels that a smaller image drops.
            image = image.convert(MODES[channels]).resize((width, height), Image.Resampling.BILINEAR)
        pixels[row] = np.asarray(image.convert(MODES[channels])).reshape(height, width, channels)
    names = sorted({file.parent.name for file in images if file.parent != folder})
    labels = np.array([names.index(file.parent.name) for file in images]) if names else None
    return own.dataset("image_folder", folder, LEVELS, Split(pixels, labels), None, own.Splitting(**splitting))


def image_shape(first: Path, size: Sequence[int] | None, channels: int) -> tuple[int, int, int]:
    """[H, W, C] of the images after resizing."""
    if channels not in MODES:
        raise UsageError(f"data.channels={channels} must be 1 (grey) or 3 (colour)")
    if size is None:
        width, height = opened(first).size
        return height, width, channels
    listed = isinstance(size, Sequence) and not isinstance(size, str)
    if not listed or len(size) != 2 or not all(isinstance(n, int) and n >= 1 for n in size):
        raise UsageError(f"data.size={list(size) if listed else size} must be [H,W], such as [32,32], or null")
    height, width = size
    return height, width, channels


def opened(file: Path) -> Image.Image:
    """An image of 8 bits a channel, upright as its camera says, transparent pixels on white."""
    try:
        with Image.open(file) as image:
            stored = image.tile[0].args if image.tile else ""  # a colour PNG of 16 bits has the mode of one of 8
            if image.mode.startswith(("I", "F")) or ";16" in str(stored):
                raise UsageError(
                    f"{file} has more than 8 bits a channel ({image.mode}); convert it to 8, or use data=npz"
                )
            upright = ImageOps.exif_transpose(image)
            if not upright.has_transparency_data:
                return upright
            white = Image.new("RGBA", upright.size, "white")
            return Image.alpha_composite(white, upright.convert("RGBA"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{file} is not a complete PNG or JPEG image ({error})") from error


def _changes(folder: Path) -> tuple[tuple[Path, int], ...]:
    """The folder and its sub-folders, and when files came or went there."""
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return tuple((place, place.stat().st_mtime_ns) for place in (folder, *inside))


@lru_cache(maxsize=16)
def _listed(folder: Path, changes: tuple[tuple[Path, int], ...]) -> tuple[Path, ...]:
    found = {
        place: sorted(file for file in place.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        for place, _ in changes
    }
    images = tuple(file for place in found.values() for file in place)
    if not images:
        raise UsageError(f"data.path={folder} holds no PNG or JPEG images, nor do its sub-folders")
    if found[folder] and len(found[folder]) < len(images):
        raise UsageError(f"data.path={folder} holds images beside sub-folders with images; use one or the other")
    return images
