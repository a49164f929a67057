"""What the pictures at the end of a run are drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from vae_lab.data.images import Images, scaled
from vae_lab.evaluation.aggregate import spread_rows
from vae_lab.evaluation.pictures.sheet import cells, limits_of
from vae_lab.evaluation.pictures.views import Views
from vae_lab.randomness import seed_for

ENCODED_ROWS = 2000


@dataclass(frozen=True)
class Subject:
    """A trained model, the images it is shown, and its past.

    Args:
      views: the model's compiled functions.
      data: name of the data set.
      split: name of the split that the pixels are of.
      epoch: of the weights.
      images: N of them.
      labels: [N], or None.
      seed: of the pictures' noise.
      frames: (epoch, picture) of the prior's frames, in order.
      history: (epoch, value) of each metric logged by epoch, in order.
      label_names: what labels are called, by label; None where they are numbers.
    """

    views: Views
    data: str
    split: str
    epoch: int
    images: Images
    labels: np.ndarray | None
    seed: int
    frames: Sequence[tuple[int, np.ndarray]] = ()
    history: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    label_names: Sequence[str] | None = None

    def title(self, what: str, of_images: bool = True) -> str:
        """A picture's title; of what is not made from images it names no split."""
        split = f", {self.split}" if of_images else ""
        return f"{what}: {self.data}{split}, epoch {self.epoch}"

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The values that cells span."""
        return limits_of(self.images)

    @cached_property
    def rows(self) -> np.ndarray:
        """Indices of the rows that are encoded: at most 2000, evenly over the split."""
        return spread_rows(len(self.images), ENCODED_ROWS)

    @cached_property
    def encoded(self) -> tuple[np.ndarray, np.ndarray]:
        """q(z|x) of those rows: mean [n, *latent] and draws [10, n, *latent]."""
        return self.views.encode(self.images.rows(self.rows), seed_for(self.seed, "pictures"))

    @cached_property
    def encoded_labels(self) -> np.ndarray | None:
        """Labels of those rows."""
        return None if self.labels is None else self.labels[self.rows]

    def class_name(self, label: int) -> str:
        """What a label is called."""
        return str(label) if self.label_names is None else self.label_names[label]

    @cached_property
    def by_activity(self) -> np.ndarray:
        """Indices of the flattened latents that the decoder sees, the one whose posterior mean varies most first."""
        mean = np.asarray(self.views.model.space.decoded(self.encoded[0]))
        variance = mean.reshape(len(self.rows), -1).var(axis=0)
        return np.argsort(-variance, kind="stable")

    def latent_name(self, flat_index: int) -> str:
        """A latent's name by its place: z3, or z[2,1,0] on a grid."""
        place = np.unravel_index(flat_index, self.views.model.latent_shape)
        return f"z{place[0]}" if len(place) == 1 else f"z[{','.join(str(i) for i in place)}]"

    def shown(self, rows: np.ndarray) -> np.ndarray:
        """Cells of the split's rows."""
        return cells(scaled(self.images.pixels[rows], self.images.levels), self.limits)

    def decoded(self, z: np.ndarray) -> np.ndarray:
        """Cells of the means of p(x|z), z [n, *latent]."""
        return cells(self.views.decode(z.astype(np.float32)), self.limits)
