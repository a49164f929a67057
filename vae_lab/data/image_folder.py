"""A folder of a user's own with images, as `vae_lab.data.image_tree` finds them; sub-folders are labels or splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps

from vae_lab.data import own
from vae_lab.data.dataset import Dataset, Split
from vae_lab.data.image_tree import Images, images_of, label_names
from vae_lab.errors import UsageError, told

MODES = {1: "L", 3: "RGB"}
LEVELS = 256


def files(path: str | None, **settings: Any) -> list[Path]:
    """All images, split after split in the order of their names."""
    folder = own.existing("image_folder", path, folder=True)
    return [file for images in images_of(folder).values() for file in images.files]


def facts(
    path: str | None,
    size: Sequence[int] | None,
    channels: int,
    **splitting: Any,
) -> dict[str, Any]:
    """Shape, levels and rows, from the names of the files and, without `size`, the first image."""
    folder = own.existing("image_folder", path, folder=True)
    images = images_of(folder)
    shape = image_shape(images["train"].files[0], size, channels)
    rows = {split: len(found.files) for split, found in images.items()}
    return own.facts(folder, shape, LEVELS, rows, own.Splitting(**splitting))


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
    images = images_of(folder)
    names = label_names(images.values())
    first = images["train"].files[0]
    shape = image_shape(first, size, channels)
    splits = {}
    for split, found in images.items():
        pixels = np.empty((len(found.files), *shape), np.uint8)
        for row, file in enumerate(found.files):
            pixels[row] = resized(file, first, shape, size is not None)
        splits[split] = Split(pixels, numbered(found, names))
    return own.dataset("image_folder", folder, LEVELS, splits, own.Splitting(**splitting), names)


def numbered(images: Images, names: Sequence[str] | None) -> np.ndarray | None:
    """Labels [N] of a split's images by the places of their names, or None where it has none."""
    labels = images.labels()
    return None if names is None or labels is None else np.array([names.index(label) for label in labels])


def resized(file: Path, first: Path, shape: tuple[int, int, int], resize: bool) -> np.ndarray:
    """The pixels uint8 `shape` of a file.

    Raises:
      UsageError: where they are to be as they are, and are not of the first file's size.
    """
    height, width, channels = shape
    image = opened(file)
    if image.size != (width, height):
        if not resize:
            raise UsageError(
                f"{file} has {image.size[1]}x{image.size[0]} pixels, and {first.name} {height}x{width}; "
                "say data.size=[H,W] to resize them"
            )
        # Bilinear; Pillow averages over the pixels that a smaller image drops.
        image = image.convert(MODES[channels]).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image.convert(MODES[channels])).reshape(shape)


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
            if image.mode.startswith(("I", "F")) or stored_in_more_than_8_bits(image):
                raise UsageError(
                    f"{file} has more than 8 bits a channel ({image.mode}); convert it to 8, or use data=npz"
                )
            # What a camera adds to its JPEG (then called MPO) are views of the same image, the whole one first.
            if getattr(image, "is_animated", False) and image.format != "MPO":
                raise UsageError(f"{file} holds {getattr(image, 'n_frames', 2)} images; save each as a file of its own")
            upright = ImageOps.exif_transpose(image)
            if not upright.has_transparency_data:
                return upright
            white = Image.new("RGBA", upright.size, "white")
            return Image.alpha_composite(white, upright.convert("RGBA"))
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # each of Pillow's many formats has its own ways to fail on a broken file
        raise UsageError(f"{file} is not a complete image ({told(error)}); save it anew, or move it away") from error


def stored_in_more_than_8_bits(image: ImageFile.ImageFile) -> bool:
    """Whether an image whose mode has 8 bits a channel is made of more: the mode of colours is the same for both."""
    how = image.tile[0].args if image.tile else ()
    largest = how[-1] if isinstance(how, tuple) and image.format == "PPM" else 255
    return ";16" in str(how) or (isinstance(largest, int) and largest > 255)
