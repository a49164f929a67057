"""Between what a metric must lie, by what it is and by a run's settings: known before any value is."""

import json
from collections.abc import Mapping

from vae_lab.evaluation.quantities import is_count
from vae_lab.study.expectations import SPLITS


class UnknownRange(ValueError):
    """A metric has a range, and nothing says which."""


def metric_range(metric: str, params: Mapping[str, str]) -> tuple[float, float] | None:
    """The smallest and the largest value that a metric can have; None where there is no such bound.

    Args:
      metric: split/name, or a sum as expectations have it.
      params: a run's settings, as they are logged.

    Raises:
      UnknownRange: of counts in a sum, and of those of latents whose number the settings do not say.
    """
    split, _, name = metric.partition("/")
    if split not in SPLITS:
        if any(is_count(term.rpartition("/")[2]) for term in metric.split(" + ")):
            raise UnknownRange(f"the sequential rule takes no sums of counts, such as {metric}")
        return None
    if name == "high_pareto_k":  # a share of images
        return 0.0, 1.0
    return (0.0, float(_latents(name, params))) if is_count(name) else None


def _latents(name: str, params: Mapping[str, str]) -> int:
    """How many latents are counted: those of all layers, or of the one that the name ends with."""
    layer = name.rpartition("_")[2]
    sizes = [int(params["latent_size"]), *json.loads(params.get("posterior.upper", "[]"))]
    if params.get("encoder.facts.spatial_latent", "false").lower() == "true":
        raise UnknownRange(f"nothing says how many latents {name} counts on a grid")
    if not layer.isdigit():
        return sum(sizes)
    if int(layer) > len(sizes):
        raise UnknownRange(f"{name} is of a layer that the posterior does not have")
    return int(sizes[int(layer) - 1])
