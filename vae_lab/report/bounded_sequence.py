"""An interval for a mean of values of known range that holds at every number of values at once, by betting.

A gambler who thinks the mean of values in [0, 1] larger than m stakes a share of what is at hand on each next value,
known before it is seen. After n values the capital is

    K+_n(m) = product over i of 1 + b_i (x_i - m),  0 <= b_i <= CAUTION / m,

and where the mean is m, whatever else the values are, it is a martingale that begins at 1; so is K-_n(m) of one who
thinks the mean smaller, with 1 - b_i (x_i - m) and b_i <= CAUTION / (1 - m). By Ville's inequality either ever reaches
2/alpha with probability at most alpha/2. The interval holds the candidates m for which neither has. K+ falls in m and
K- rises, so that it ends where they reach it. The share is that of the paper, large while the values before had little
spread:

    b_i = (2 log(2/alpha) / (v_i i log(i + 1)))^(1/2),  v_i the variance so far, begun with one value of 1/4.

No normal values, no spread and no number of different values are asked for: counts are a case of it, and so are shares.
It pays for that with width. However little they vary, n values leave about 4/3 log(2/alpha)/n of the range, below and
above together.

Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", J. R. Stat. Soc. B 86(1),
sections 4.1 and 4.2, the hedged capital process with predictable plug-in bets.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import optimize

CAUTION = 0.75  # the largest part of the capital that one value can take; the paper has 1/2 or 3/4


class OutOfRange(ValueError):
    """A value lies beyond what was said to be its range."""


def bounds_after_each(values: Sequence[float], alpha: float, low: float, high: float) -> list[tuple[float, float]]:
    """The interval of level 1 - alpha after each value; it never grows.

    Args:
      values: independent, in an order that does not depend on them.
      alpha: the chance that the interval, at any number of values, misses the mean.
      low, high: between which all values must lie, known before they are.

    Raises:
      OutOfRange: where a value lies beyond.
    """
    scaled = (np.asarray(values, np.float64) - low) / (high - low)
    if scaled.size and not (scaled.min() >= 0 and scaled.max() <= 1):
        raise OutOfRange(f"values from {min(values):g} to {max(values):g} are not all between {low:g} and {high:g}")
    shares = _shares(scaled, alpha)
    found, lower, upper = [], 0.0, 1.0
    for count in range(1, len(scaled) + 1):
        below = _least(scaled[:count], shares[:count], alpha)
        above = 1 - _least(1 - scaled[:count], shares[:count], alpha)
        # Both gamblers can be right about no candidate, with probability alpha; what was known then stands.
        if max(lower, below) <= min(upper, above):
            lower, upper = max(lower, below), min(upper, above)
        found.append((low + lower * (high - low), low + upper * (high - low)))
    return found


def _shares(scaled: np.ndarray, alpha: float) -> np.ndarray:
    """What is staked on each value, by those before it."""
    count = np.arange(1, len(scaled) + 1)
    means = (0.5 + np.cumsum(scaled)) / (count + 1)
    variances = (0.25 + np.cumsum((scaled - means) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variances])[: len(scaled)]
    return np.sqrt(2 * math.log(2 / alpha) / (before * count * np.log(count + 1)))


def _least(scaled: np.ndarray, shares: np.ndarray, alpha: float) -> float:
    """The smallest mean at which the gambler who thinks it larger has not come to 2/alpha."""

    def short(mean: float) -> float:
        return float(np.log1p(np.minimum(shares, CAUTION / mean) * (scaled - mean)).sum()) - math.log(2 / alpha)

    nearly_zero = float(np.finfo(np.float64).tiny)
    return optimize.brentq(short, nearly_zero, 1.0, xtol=1e-12) if short(nearly_zero) > 0 else 0.0
