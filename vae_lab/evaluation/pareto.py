"""The tail of importance weights: how heavy it is says whether their mean can be trusted."""

import math

import numpy as np

FEWEST = 25  # weights of an image: fewer have no tail to speak of
HIGH = 0.7  # k from which on the mean of so many weights is not reliable (Vehtari et al.)
PRIOR_K, PRIOR_WEIGHT = 0.5, 10  # PSIS's weak prior on k: as if so many more of the tail had that k
ROUNDING = 8 * float(np.finfo(np.float32).eps)  # log weights come of float32 densities


def tail_size(samples: int) -> int:
    """How many of an image's weights are its tail: a fifth of them, or 3 sqrt(K)."""
    return math.ceil(min(0.2 * samples, 3 * math.sqrt(samples)))


def generalized_pareto_k(exceedances: np.ndarray) -> np.ndarray:
    """The shape k of generalized Pareto distributions, of which samples are given.

    The density is (1 + k x / sigma)^(-1/k - 1) / sigma: moments of order 1 / k and above are infinite. k is its mean
    under a posterior on a grid of theta = k / sigma, which needs no search.

    Args:
      exceedances: [N, M], at least 0, increasing along the last axis, the last above 0.

    Returns:
      [N], without a prior on k.

    References: Zhang, Stephens, "A New and Efficient Estimation Method for the Generalized Pareto Distribution", 2009.
    """
    size = exceedances.shape[-1]
    grid = 30 + math.isqrt(size)
    quartile = exceedances[:, math.floor(size / 4 + 0.5) - 1, np.newaxis]
    quartile = np.maximum(quartile, np.finfo(float).tiny ** 0.5)  # of weights that are nothing beside the largest
    steps = (np.sqrt(grid / (np.arange(1, grid + 1) - 0.5)) - 1) / 3
    theta = steps / quartile - 1 / exceedances[:, -1:]  # [N, grid]
    k = np.log1p(theta[:, :, np.newaxis] * exceedances[:, np.newaxis]).mean(axis=-1)
    log_likelihood = size * (np.log(theta / k) - k - 1)
    weights = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    theta = (weights * theta).sum(axis=1) / weights.sum(axis=1)
    return np.log1p(theta[:, np.newaxis] * exceedances).mean(axis=1)


def pareto_k(log_weights: np.ndarray, samples: int) -> np.ndarray:
    """The Pareto shape k of the tail of importance weights.

    Args:
      log_weights: [N, M + 1], the largest of each image, M = `tail_size`; the smallest of them is the threshold.
      samples: K, of which these are the largest.

    Returns:
      float64 [N]; NaN for K below 25, and where a tail's weights are equal up to rounding, as at the exact posterior.

    References: Vehtari, Simpson, Gelman, Yao, Gabry, "Pareto Smoothed Importance Sampling", 2024.
    """
    found = np.full(len(log_weights), math.nan)
    if samples < FEWEST:
        return found
    ordered = np.sort(log_weights.astype(np.float64), axis=1)
    spread = ordered[:, -1] - ordered[:, 0]
    there = np.isfinite(ordered[:, -1]) & (spread > ROUNDING * np.maximum(np.abs(ordered[:, -1]), 1.0))
    ordered = ordered[there]
    weights = np.exp(ordered - ordered[:, -1:])
    size = weights.shape[1] - 1
    k = generalized_pareto_k(weights[:, 1:] - weights[:, :1])
    found[there] = (size * k + PRIOR_WEIGHT * PRIOR_K) / (size + PRIOR_WEIGHT)
    return found
