"""An interval for a mean that holds at every number of values at once, so that it may be looked at after each.

Of independent normal values x with mean mu and standard deviation sigma, both unknown, let t be Student's statistic of
the first n against a candidate m, and delta = (mu - m) / sigma. The density of what the values say up to their scale
(their ratios to the first one's size), under delta against under 0, is

    L(delta) = I(delta) / I(0),  I(delta) = integral of s^(-n-1) exp(-sum (x_i - m - s delta)^2 / (2 s^2)) ds over s > 0

and each L(delta) is a martingale with mean 1 where m is mu. So is its average over delta ~ N(0, PRIOR_SD^2). The
integral over delta is Gaussian and the one over s a Gamma function; with h = 1 + n PRIOR_SD^2 they come to

    E_n = h^(-1/2) ((1 + t^2 / (n - 1)) / (1 + t^2 / ((n - 1) h)))^(n / 2),

1 at n = 1. By Ville's inequality E_n ever reaches 1/alpha with probability at most alpha, whenever one stops and why.
The interval holds the candidates m for which it has not: mean ± c standard errors, where

    c^2 = (n - 1) (g - 1) / (1 - g / h),  g = (h^(1/2) / alpha)^(2 / n),

and where g >= h, at the first few n, all numbers.

Lai (1976), "On confidence sequences"; Wang and Ramdas (2023), "Anytime-valid t-tests and confidence sequences for
Gaussian means with unknown variance", whose e-process of scale-invariant likelihood ratios with a Gaussian mixture this
is; the ratio at one n is the t-test's Bayes factor of Gonen et al. (2005).

Values that are not normal keep the promise about: docs/correctness.md has what was measured. Counts in small numbers
are no case of it, but of `bounded_sequence`.
"""

import math
from collections.abc import Sequence

import numpy as np

from vae_lab.report.statistics import ROUNDING

# Standardized effects that the interval is narrowest for. Two standard deviations: what separates two arms with a
# handful of seeds. It is fixed, since the promise is void where it is chosen by the values.
PRIOR_SD = 2.0


def critical(count: int, alpha: float, prior_sd: float = PRIOR_SD) -> float:
    """How many standard errors the interval of level 1 - alpha reaches from the mean of `count` values; may be inf."""
    if count < 2:
        return math.inf
    h = 1 + count * prior_sd**2
    g = (math.sqrt(h) / alpha) ** (2 / count)
    return math.sqrt((count - 1) * (g - 1) / (1 - g / h)) if g < h else math.inf


def e_value(t: float | np.ndarray, count: int, prior_sd: float = PRIOR_SD) -> float | np.ndarray:
    """The evidence of `count` values with Student's statistic `t` against the candidate: E_n above."""
    h = 1 + count * prior_sd**2
    return h**-0.5 * ((1 + t**2 / (count - 1)) / (1 + t**2 / ((count - 1) * h))) ** (count / 2)


def bounds(values: Sequence[float], alpha: float, scale: float = 0.0) -> tuple[float, float]:
    """The interval of level 1 - alpha after these values; infinite while there is none.

    Args:
      values: independent, in an order that does not depend on them.
      alpha: the chance that the interval, at any number of values, misses the mean.
      scale: the size of what the values are differences of. Values that are equal but for its rounding have no spread,
        and so no interval.
    """
    sample = np.asarray(values, np.float64)
    if len(sample) < 2 or not np.isfinite(sample).all():
        return -math.inf, math.inf
    if np.ptp(sample) <= ROUNDING * max(scale, float(np.abs(sample).max())):
        return -math.inf, math.inf
    reach = critical(len(sample), alpha) * float(sample.std(ddof=1)) / math.sqrt(len(sample))
    return float(sample.mean()) - reach, float(sample.mean()) + reach
