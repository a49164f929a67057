"""Contact sheets: cells of equal size in rows, with a title and labels around them."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vae_lab.data.images import Images, scaled

COLUMNS = 10
CELL = 56  # pixels of an image's longer side, at least: small ones are enlarged by a whole number
VECTOR_CELL, VECTOR_MARGIN = (56, 84), (2, 5)  # height and width in which a vector is drawn, and what is left around
BAR, BASELINE = (0, 114, 178), (170, 170, 170)
TEXT = 13  # pixels of a letter
LONGEST_LABEL = 24  # letters above a column
WHITE = 255


def limits_of(images: Images) -> tuple[float, float]:
    """The values that a sheet's cells span: what the pixels do, and 0; for images [N,H,W,C] with H > 1 also 1."""
    low, high = (float(scaled(end, images.levels)) for end in (images.pixels.min(), images.pixels.max()))
    return min(0.0, low), max(1.0 if images.shape[0] > 1 else 0.0, high)


def cells(images: np.ndarray, limits: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
    """Images [n,H,W,C] -> uint8 cells [n,h,w,3].

    One channel is grey and three are colours; of any other number the mean is shown. A vector, H = 1, is bars from
    zero, between the limits.
    """
    if images.shape[1] == 1:
        return np.stack([_bars(image[0].mean(axis=-1), limits) for image in images])
    if images.shape[-1] != 3:
        images = images.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    zoom = max(1, CELL // max(images.shape[1:3]))
    low, high = limits
    pixels = np.round(255 * np.clip((images - low) / (high - low), 0.0, 1.0)).astype(np.uint8)
    return pixels.repeat(zoom, axis=1).repeat(zoom, axis=2)


def _bars(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    low, high = limits
    height, width = VECTOR_CELL[0], max(VECTOR_CELL[1], len(values))
    level = np.round((height - 1) * (high - np.clip([*values, 0.0], low, high)) / max(high - low, 1e-12)).astype(int)
    zero = level[-1]
    cell = np.full((height, width, 3), WHITE, np.uint8)
    edges = np.linspace(0, width, len(values) + 1).round().astype(int)
    cell[zero] = BASELINE
    for bar, (left, right) in enumerate(itertools.pairwise(edges)):
        gap = int(right - left > 3)
        cell[min(zero, level[bar]) : max(zero, level[bar]) + 1, left + gap : right - gap] = BAR
    above, beside = VECTOR_MARGIN
    return np.pad(cell, ((above, above), (beside, beside), (0, 0)), constant_values=WHITE)


def sheet(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of cells [columns,h,w,3], top to bottom, with white lines between them -> one picture [height,width,3]."""
    grid = np.pad(np.stack(rows), ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)), constant_values=WHITE)
    count, columns, height, width, channels = grid.shape
    return grid.transpose(0, 2, 1, 3, 4).reshape(count * height, columns * width, channels)


def _font_for(labels: Sequence[str]) -> Any:
    """Pillow's own font, which has ASCII alone; for other letters the one that matplotlib brings."""
    if all(label.isascii() for label in labels):
        return ImageFont.load_default(TEXT)
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", TEXT)


def titled(
    picture: np.ndarray, title: str, rows: Sequence[str] = (), columns: Sequence[str] = (), axis: str = ""
) -> np.ndarray:
    """A sheet with a title above it, a label left of each row and above each column, and a name below the columns.

    Labels of columns stand upright where one is wider than its column, and long ones end in dots.
    The sheet itself is unchanged in the lower right corner, but for a margin of `TEXT` pixels and the name's line.
    """
    font, large, of_columns = ImageFont.load_default(TEXT), ImageFont.load_default(TEXT + 3), _font_for(columns)
    height, width = picture.shape[:2]
    margin = TEXT
    left = margin + (int(max(font.getlength(label) for label in rows)) + 8 if rows else 0)
    columns = [label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 3]}..." for label in columns]
    widest = max((int(of_columns.getlength(label)) + 1 for label in columns), default=0)
    upright = widest > width // max(len(columns), 1) - 2
    top = margin + 2 * TEXT + ((widest if upright else TEXT) + 6 if columns else 0)
    bottom = margin + (TEXT + 6 if axis else 0)
    whole = left + max(width, int(large.getlength(title))) + margin
    page = Image.new("RGB", (whole, top + height + bottom), "white")
    page.paste(Image.fromarray(picture), (left, top))
    ink = ImageDraw.Draw(page)
    ink.text((left, margin), title, font=large, fill="black", anchor="lt")
    for index, label in enumerate(rows):
        ink.text((left - 6, top + height * (index + 0.5) / len(rows)), label, font=font, fill="black", anchor="rm")
    for index, label in enumerate(columns):
        middle = left + width * (index + 0.5) / len(columns)
        if upright:
            strip = Image.new("RGB", (widest, TEXT + 4), "white")
            ImageDraw.Draw(strip).text((0, strip.height / 2), label, font=of_columns, fill="black", anchor="lm")
            page.paste(strip.transpose(Image.Transpose.ROTATE_90), (int(middle - strip.height / 2), top - 4 - widest))
        else:
            ink.text((middle, top - 4), label, font=of_columns, fill="black", anchor="mb")
    if axis:
        ink.text((left + width / 2, top + height + 6), axis, font=font, fill="black", anchor="mt")
    return np.asarray(page)
