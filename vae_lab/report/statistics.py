"""What a study's numbers support: means over seeds, paired differences, corrections, sample sizes. By scipy.

A standard error is over seeds, that is over trained models. Evaluating one model again adds nothing to it.

What cannot be known has no number: one value has no error, and values without spread no interval and no p-value, since
what they would do elsewhere they do not show. Counts, such as active units, and values of which most are tied are no
normal ones: they get the exact test of random signs, which needs six seeds to say anything at level 0.05.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95  # of every interval
POWER, ALPHA = 0.8, 0.05
RESAMPLES = 2000
BOOTSTRAP = f"percentile bootstrap, {RESAMPLES} resamples of the images"
MOST_SEEDS = 1000  # beyond which the number of seeds is not told
MOST_SIGNED = 20  # values whose 2^n signs are gone through; beyond, the mean is normal enough
ROUNDING = 8 * float(np.finfo(np.float64).eps)  # relative to the values, below which a spread is none


class Summary(NamedTuple):
    """A sample's mean, its standard error and its 95% interval; NaN where there is none."""

    size: int
    mean: float
    error: float
    low: float
    high: float


class Difference(NamedTuple):
    """Mean of paired differences with its interval, and the two-sided p-value of no difference; NaN for none."""

    size: int
    mean: float
    error: float
    low: float
    high: float
    p: float


def summarize(values: Sequence[float], exact: bool = False) -> Summary:
    """Mean, standard error and 95% interval of independent values, such as a metric over seeds.

    By Student's t; by random signs where that is asked for, or values are tied.
    """
    return _test(np.asarray(values, np.float64), _scale(values), exact)[0]


def paired(a: Sequence[float], b: Sequence[float], at: float = 0.0) -> Difference:
    """Compares two arms seed by seed: a - b, with its interval and the p-value of a mean difference of `at`.

    By Student's t; counts and tied values by random signs. Differences that are equal but for rounding have no p-value.
    """
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    summary, p = _test(one - other, _scale([*a, *b]), are_counts([*a, *b]), at)
    return Difference(*summary, p)


def p_value(values: Sequence[float], at: float) -> float:
    """The two-sided p-value of a mean of `at`, by the test that `paired` takes."""
    return _test(np.asarray(values, np.float64), _scale(values), are_counts(values), at)[1]


def are_counts(values: Sequence[float]) -> bool:
    """Whether all values are whole numbers."""
    return all(float(value).is_integer() for value in values)


def _scale(values: Sequence[float] | np.ndarray) -> float:
    """The size that a spread must be seen against."""
    return float(np.abs(np.asarray(values, np.float64)).max(initial=0.0))


def _test(sample: np.ndarray, scale: float, exact: bool, at: float = 0.0) -> tuple[Summary, float]:
    """A sample's summary, and the p-value of a mean of `at`."""
    size, mean = len(sample), float(sample.mean())
    if size < 2 or not np.isfinite(sample).all():
        return Summary(size, mean, math.nan, math.nan, math.nan), math.nan
    if np.ptp(sample) <= ROUNDING * scale:
        return Summary(size, mean, 0.0, math.nan, math.nan), math.nan
    error = float(stats.sem(sample))
    tied = 2 * len(np.unique(sample)) <= size
    if (exact or tied) and size <= MOST_SIGNED:
        return Summary(size, mean, error, *signed_interval(sample)), signed_p(sample - at)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, size - 1)) * error
    return Summary(size, mean, error, mean - reach, mean + reach), t_p(mean - at, error, size)


def t_p(mean: float, error: float, size: int) -> float:
    """Two-sided p-value of mean 0, by Student's t."""
    return float(2 * stats.t.sf(abs(mean / error), size - 1))


def _subsets(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and size of every subset of a sample, the empty one first."""
    sums, sizes = np.zeros(1), np.zeros(1)
    for value in sample:
        sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
    return sums, sizes


def signed_p(sample: np.ndarray) -> float:
    """Two-sided p-value of values that are symmetric about 0: the share of all signs by which the sum is as far.

    To turn the signs of a subset takes twice its sum away.
    """
    sums, _ = _subsets(sample)
    slack = ROUNDING * float(np.abs(sample).sum())
    fewest = min(np.count_nonzero(sums <= slack), np.count_nonzero(sums >= -slack))
    return min(1.0, 2 * fewest / len(sums))


def signed_interval(sample: np.ndarray) -> tuple[float, float]:
    """The centres that the test of random signs does not reject: between means of subsets (Hartigan 1969)."""
    sums, sizes = _subsets(sample)
    left_out = math.floor((1 - LEVEL) / 2 * len(sums) + ROUNDING)
    if left_out < 1:
        return math.nan, math.nan
    means = np.sort(sums[1:] / sizes[1:])
    return float(means[left_out - 1]), float(means[-left_out])


def paired_images(a: np.ndarray, b: np.ndarray) -> Difference:
    """Compares two arms image by image: a - b over float64 [N], with a bootstrap interval and the paired t-test.

    What is drawn again is the test images, not the models: the interval says how far these trained models differ on
    other images, and nothing of other seeds.
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    summary, p = _test(differences, max(_scale(a), _scale(b)), exact=False)
    if not math.isnan(p):
        interval = stats.bootstrap(
            (differences,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=LEVEL,
            method="percentile",
            batch=100,
            rng=np.random.default_rng(0),
        ).confidence_interval
        summary = summary._replace(low=float(interval.low), high=float(interval.high))
    return Difference(*summary, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: what each p-value is worth as one of a family; NaN stays out of the family."""
    order = sorted((index for index, p in enumerate(p_values) if not math.isnan(p)), key=lambda index: p_values[index])
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def power(effect: float, count: int, level: float = ALPHA) -> float:
    """Power of the two-sided paired t-test for `count` pairs whose mean difference is `effect` standard deviations."""
    degrees, shift = count - 1, abs(effect) * math.sqrt(count)
    critical = stats.t.ppf(1 - level / 2, degrees)
    # Far from zero scipy gives NaN: for the near tail, which is all there is, and for the far one, which is nothing.
    near, far = stats.nct.sf(critical, degrees, shift), stats.nct.cdf(-critical, degrees, shift)
    return float(np.nan_to_num(near, nan=float(shift > critical)) + np.nan_to_num(far))


def seeds_needed(difference: Difference, effect: float, level: float = ALPHA) -> int | None:
    """How many seeds find a true difference of `effect` with power 0.8; None where no such number is told.

    The effect is the smallest that is of interest, and not the one that was seen: power at that only says the p-value
    again. The spread is that of the seeds at hand, so a number from two or three seeds is itself rough.

    Args:
      difference: over seeds, of which only the spread is taken.
      effect: in the metric's unit, above 0.
      level: of the test, corrected.
    """
    if math.isnan(difference.error):
        return None
    if difference.error == 0:
        return 2
    effect /= difference.error * math.sqrt(difference.size)
    if power(effect, MOST_SEEDS, level) < POWER:
        return None
    fewest, most = 2, MOST_SEEDS
    while fewest < most:
        middle = (fewest + most) // 2
        fewest, most = (fewest, middle) if power(effect, middle, level) >= POWER else (middle + 1, most)
    return fewest
