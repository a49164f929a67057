"""How noisy an estimator's gradient is, at fixed weights and images."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy import stats

from vae_lab.randomness import seed_for

PARTS = ("encoder", "posterior", "decoder", "likelihood", "prior")


GROUPS = 10  # of draws, whose means are kept: this bounds the memory, and makes the intervals


class Interval(NamedTuple):
    """An estimate, with its 95% interval; NaN where there is none."""

    value: float
    low: float
    high: float


NOTHING = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class GradientNoise:
    """Moments over draws of a part's gradient, all its weights as one vector g.

    Attributes:
      mean_norm: |mean of g|; its square is too high by variance / draws.
      variance: sum over weights of the unbiased variance over draws.
      signal_to_noise: |E g| / sqrt(variance), its square freed of the mean's own noise and at least 0.
      weight_signal_to_noise: the mean over weights of |E g_i| / sd g_i, of those that have noise.
    """

    mean_norm: float
    variance: float
    signal_to_noise: Interval
    weight_signal_to_noise: Interval


class Moments:
    """Moments of a vector over draws, added one by one; memory for 2 `GROUPS` + 1 vectors, however many draws.

    All draws are counted from the first, so that no digits are lost where the noise is small beside the mean.
    """

    def __init__(self, first: np.ndarray, groups: int):
        self.origin = first
        self.sums, self.squares = (np.zeros((groups, len(first))) for _ in range(2))
        self.counts = np.zeros(groups)

    def add(self, draw: int, value: np.ndarray) -> None:
        """Counts a draw; every `groups`-th is of one group."""
        group, deviation = draw % len(self.counts), value - self.origin
        self.sums[group] += deviation
        self.squares[group] += deviation**2
        self.counts[group] += 1

    def of(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and unbiased variance of each weight, over the draws of some groups."""
        draws, total = self.counts[groups].sum(), self.sums[groups].sum(axis=0)
        variance = (self.squares[groups].sum(axis=0) - total**2 / draws) / (draws - 1)
        return self.origin + total / draws, np.maximum(variance, 0.0)

    def noise(self) -> GradientNoise:
        """What they say of the gradient."""
        mean, variance = self.of(np.arange(len(self.counts)))
        whole = by_weight = NOTHING
        if variance.any():
            whole = Interval(*(math.sqrt(end) for end in self._jackknifed(self._squared_ratio)))
            by_weight = self._jackknifed(self._ratio)
        return GradientNoise(float(np.linalg.norm(mean)), float(variance.sum()), whole, by_weight)

    def _jackknifed(self, ratio) -> Interval:
        """A ratio, 0 at least, with an interval by Student's t: one group of draws is left out after the other."""
        groups = np.arange(len(self.counts))
        value = ratio(groups)
        if len(groups) < 3:
            return Interval(max(value, 0.0), math.nan, math.nan)
        without = np.array([ratio(np.delete(groups, one)) for one in groups])
        margin = float(stats.t.ppf(0.975, len(groups) - 1)) * math.sqrt(len(groups) - 1) * float(without.std())
        return Interval(*(max(end, 0.0) for end in (value, value - margin, value + margin)))

    def _squared_ratio(self, groups: np.ndarray) -> float:
        """(|mean|^2 - variance / draws) / variance: the numerator is unbiased for |E g|^2."""
        mean, by_weight = self.of(groups)
        variance = by_weight.sum()
        return float(mean @ mean / variance - 1 / self.counts[groups].sum()) if variance > 0 else math.nan

    def _ratio(self, groups: np.ndarray) -> float:
        """Mean over weights of |E g_i| / sd g_i.

        |mean_i| would be too high by noise, and be noise alone where there is no signal. Here a group's mean counts
        with the sign that the other groups' has: where there is no signal that is 0 on average, where signs are sure it
        is |E g_i|, and between it is too low.
        """
        mean, variance = self.of(groups)
        noisy, draws, signed = variance > 0, self.counts[groups].sum(), np.zeros_like(mean)
        if not noisy.any():
            return math.nan
        for one in groups:
            of_group = self.origin + self.sums[one] / self.counts[one]
            others = draws * mean - self.counts[one] * of_group
            signed += np.sign(others) * of_group
        small = 1 - 3 / (4 * draws - 5)  # 1 / the standard deviation of few draws is too large (Hedges 1981)
        return small * float(np.mean(signed[noisy] / np.sqrt(variance[noisy]))) / len(groups)


def gradient_noise(model: Any, estimator: Any, x: Any, draws: int, seed: int) -> dict[str, GradientNoise]:
    """Measures the gradient of the loss's mean over a batch, over independent draws of the estimator's noise.

    After all warm-up. Of a part that shares its work with another (a VampPrior uses the encoder) only its own weights
    count.

    Args:
      model: the VAE.
      estimator: whose loss is differentiated.
      x: images [B,H,W,C] in [0, 1].
      draws: at least 2; an interval takes 3.
      seed: of the noise.

    Returns:
      By part, of those that have weights.

    References: Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018, section 3.
    """
    gradient = gradient_of(model, estimator)
    moments: dict[str, Moments] = {}
    for draw in range(1, draws + 1):
        for part, tensor in gradient(x, seed_for(seed, "gradient", draw)).items():
            value = tensor.numpy().astype(np.float64)
            moments.setdefault(part, Moments(value, min(GROUPS, draws))).add(draw, value)
    return {part: of_part.noise() for part, of_part in moments.items()}


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
    """`gradient_noise` as gradient/part/quantity, with _low and _high its 95% interval; none for 0 draws.

    No signal-to-noise where there is no noise, no interval of two draws.
    """
    metrics: dict[str, float] = {}
    for part, noise in (gradient_noise(model, estimator, x, draws, seed) if draws else {}).items():
        found = {"mean_norm": noise.mean_norm, "variance": noise.variance}
        for name in ("signal_to_noise", "weight_signal_to_noise"):
            ratio = getattr(noise, name)
            found |= {name: ratio.value, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
        metrics |= {f"gradient/{part}/{name}": value for name, value in found.items() if not math.isnan(value)}
    return metrics
