"""Pictures of a model: one file a picture, from fixed rows and fixed noise, so that they compare over runs."""

from collections.abc import Sequence

# `evaluation.pictures=true` draws these.
CHEAP = (
    "reconstructions",
    "prior_samples",
    "class_means",
    "traversals",
    "latent_grid",
    "interpolations",
    "training",
    "latent_density",
    "loss_curves",
    "layer_samples",
)
# Only by `all` or its name: 5 MB a run, because the page brings the library that draws it.
PICTURES = (*CHEAP, "latent_space")


def named(wanted: bool | str | Sequence[str]) -> tuple[str, ...]:
    """The pictures that `evaluation.pictures` asks for: by true, false, all, or a list."""
    if isinstance(wanted, bool):
        return CHEAP if wanted else ()
    return PICTURES if wanted == "all" else tuple(wanted)
