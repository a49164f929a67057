"""A split's metrics, and the values of each image behind them."""

import math
from typing import Any

import numpy as np

from vae_lab.evaluation.latent import active_units


def elbo_metrics(split: str, values: dict[str, np.ndarray]) -> dict[str, float]:
    """Means over all images, in nats, named split/quantity."""
    return {f"{split}/{name}": float(values[name].mean()) for name in ("elbo", "rate", "distortion")}


def evaluate_split(
    program: Any,
    split: str,
    pixels: np.ndarray,
    levels: int,
    settings: Any,
    bits_offset: float | None,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Evaluates a split at the model's present weights.

    Args:
      program: what holds the compiled evaluators.
      split: "train", "val" or "test", for the names.
      pixels: uint8 [N,H,W,C], of `levels` levels.
      settings: the configuration's `evaluation`.
      bits_offset: what to add to -log2 p(x) / D so that likelihoods compare; None where bits per dim have no meaning.

    Returns:
      Metrics by name; and values of each image, float64 [N], by quantity.
    """
    values = program.elbo(pixels, levels, settings.samples, settings.seed, settings.batch_size)
    metrics = elbo_metrics(split, values)
    metrics[f"{split}/active_units"] = active_units(values.pop("posterior_mean"))
    if split in settings.log_likelihood_of:
        values["log_likelihood"] = program.log_likelihood(pixels, levels, settings.importance_samples, settings.seed)
        metrics[f"{split}/log_likelihood"] = float(values["log_likelihood"].mean())
        if bits_offset is not None:
            nats_per_dim = -metrics[f"{split}/log_likelihood"] / math.prod(pixels.shape[1:])
            metrics[f"{split}/bits_per_dim"] = nats_per_dim / math.log(2) + bits_offset
    return metrics, values
