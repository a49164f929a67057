"""Pixels as a run takes them: after the split and the binarization."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vae_lab.data.dataset import Dataset


@dataclass(frozen=True)
class Images:
    """Images with what their numbers mean."""

    pixels: np.ndarray  # [N,H,W,C]
    levels: int | None  # integers 0 .. levels - 1; None: real values, which are intensities already

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """[H, W, C]."""
        return self.pixels.shape[1:]

    def rows(self, chosen: Any) -> "Images":
        """Some of the images: a slice, or an array of indices."""
        return Images(self.pixels[chosen], self.levels)

    def digest(self) -> str:
        """Equal for equal images."""
        described = f"{self.levels} {self.pixels.dtype.str} {self.pixels.shape}".encode()
        return hashlib.sha256(described + np.ascontiguousarray(self.pixels).tobytes()).hexdigest()[:16]


def scaled(pixels: np.ndarray, levels: int | None) -> np.ndarray:
    """Intensities, float32: in [0, 1] where pixels are grey levels."""
    return np.asarray(pixels, np.float32) / np.float32(1 if levels is None else levels - 1)


@dataclass(frozen=True)
class RunImages:
    """The images of a run.

    Attributes:
      name, sha256, source: of the data set.
      train: what training reads: before binarization where it is drawn anew at each visit.
      fixed: by split, the images that are scored.
      unbinarized: by split, the same rows before binarization.
      labels: by split, where there are any.
      label_names: what a person calls them; None where the numbers are their names.
    """

    name: str
    sha256: str
    source: str
    train: Images
    fixed: dict[str, Images]
    unbinarized: dict[str, Images]
    labels: dict[str, np.ndarray | None]
    label_names: tuple[str, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """[H, W, C]."""
        return self.train.shape

    @property
    def levels(self) -> int | None:
        """Grey levels of the pixels that the likelihood scores."""
        return self.fixed["test"].levels

    def first(self, count: int = 5000) -> np.ndarray:
        """The first training images as intensities, before any drawing at visits."""
        images = self.fixed["train"]
        return scaled(images.pixels[:count], images.levels)

    @cached_property
    def train_mean(self) -> np.ndarray:
        """Mean training image [H,W,C] in intensities, float64."""
        mean = self.train.pixels.mean(axis=0, dtype=np.float64)
        return mean if self.train.levels is None else mean / (self.train.levels - 1)

    def tags(self, splits: Iterable[str]) -> dict[str, str]:
        """Tags by which runs are compared: digests of a split's images as they are scored, and before binarization."""
        there = [split for split in splits if split in self.fixed]
        scored = {f"vae_lab.scored.{split}": self.fixed[split].digest() for split in there}
        return scored | {f"vae_lab.rows.{split}": self.unbinarized[split].digest() for split in there}


def run_images(dataset: Dataset, binarization: Any) -> RunImages:
    """Applies a binarization to every split of a data set."""
    splits = dataset.splits()
    raw = {name: Images(split.pixels, dataset.levels) for name, split in splits.items()}
    fixed = {name: binarization.fix(images, name) for name, images in raw.items()}
    return RunImages(
        name=dataset.name,
        sha256=dataset.sha256,
        source=dataset.source,
        train=raw["train"] if binarization.redraws else fixed["train"],
        fixed=fixed,
        unbinarized=raw,
        labels={name: split.labels for name, split in splits.items()},
        label_names=dataset.label_names,
    )
