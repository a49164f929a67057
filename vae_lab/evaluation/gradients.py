"""How noisy an estimator's gradient is, at fixed weights and images."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.randomness import seed_for

PARTS = ("encoder", "posterior", "decoder", "likelihood", "prior")


@dataclass(frozen=True)
class GradientNoise:
    """Moments over draws of a part's gradient, all its weights as one vector g."""

    mean_norm: float  # |mean of g|; its square is too high by variance / draws
    variance: float  # sum over weights of the unbiased variance over draws

    @property
    def signal_to_noise(self) -> float:
        """|mean of g| / sqrt(variance); NaN where there is no noise."""
        return self.mean_norm / math.sqrt(self.variance) if self.variance > 0 else math.nan


def gradient_noise(model: Any, estimator: Any, x: Any, draws: int, seed: int) -> dict[str, GradientNoise]:
    """Measures the gradient of the loss's mean over a batch, over independent draws of the estimator's noise.

    After all warm-up. Of a part that shares its work with another (a VampPrior uses the encoder) only its own weights
    count.

    Args:
      model: the VAE.
      estimator: whose loss is differentiated.
      x: images [B,H,W,C] in [0, 1].
      draws: at least 2.
      seed: of the noise.

    Returns:
      By part, of those that have weights.
    """
    gradient = gradient_of(model, estimator)
    mean: dict[str, Any] = {}
    squares: dict[str, Any] = {}  # sums of squared deviations (Welford 1962)
    for draw in range(1, draws + 1):
        for part, tensor in gradient(x, seed_for(seed, "gradient", draw)).items():
            value = tensor.numpy().astype(np.float64)
            deviation = value - mean.get(part, 0.0)
            mean[part] = mean.get(part, 0.0) + deviation / draw
            squares[part] = squares.get(part, 0.0) + deviation * (value - mean[part])
    return {
        part: GradientNoise(float(np.linalg.norm(mean[part])), float(np.sum(squares[part])) / (draws - 1))
        for part in mean
    }


@lru_cache(maxsize=16)
def gradient_of(model: Any, estimator: Any) -> Any:
    """The compiled gradient of an estimator's mean loss: images and stateless seed -> a vector by part."""
    variables = {part: getattr(model, part).trainable_variables for part in PARTS}
    variables = {part: weights for part, weights in variables.items() if weights}

    @tf.function
    def gradient(x, noise_seed):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(estimator(model, x, noise_seed).loss)
        parts = tape.gradient(loss, variables, unconnected_gradients="zero")
        return {part: tf.concat([tf.reshape(g, [-1]) for g in gs], axis=0) for part, gs in parts.items()}

    return gradient


def gradient_metrics(model: Any, estimator: Any, x: Any, draws: int, seed: int) -> dict[str, float]:
    """`gradient_noise` as gradient/part/quantity; none for 0 draws, no signal-to-noise where there is no noise."""
    metrics: dict[str, float] = {}
    for part, noise in (gradient_noise(model, estimator, x, draws, seed) if draws else {}).items():
        metrics |= {f"gradient/{part}/mean_norm": noise.mean_norm, f"gradient/{part}/variance": noise.variance}
        if noise.variance > 0:
            metrics[f"gradient/{part}/signal_to_noise"] = noise.signal_to_noise
    return metrics
