"""What a study's numbers support: means over seeds, paired differences, corrections, sample sizes. By scipy.

A standard error is over seeds, that is over trained models. Evaluating one model again adds nothing to it.
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


class Summary(NamedTuple):
    """A sample's mean, its standard error and the 95% interval that Student's t gives it; NaN for one value."""

    size: int
    mean: float
    error: float
    low: float
    high: float


class Difference(NamedTuple):
    """Mean of paired differences, and the two-sided p-value of no difference by the paired t-test."""

    size: int
    mean: float
    error: float
    low: float
    high: float
    p: float


def summarize(values: Sequence[float]) -> Summary:
    """Mean, standard error and 95% t interval of independent values, such as a metric over seeds."""
    sample = np.asarray(values, np.float64)
    if len(sample) < 2:
        return Summary(len(sample), float(sample.mean()), math.nan, math.nan, math.nan)
    error = float(stats.sem(sample))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(sample) - 1)) * error
    mean = float(sample.mean())
    return Summary(len(sample), mean, error, mean - reach, mean + reach)


def paired(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Compares two arms seed by seed: a - b, with the t interval and the paired t-test.

    Equal values everywhere give p = 1, and a constant difference p = 0; one pair gives no p-value.
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    summary = summarize(differences.tolist())
    return Difference(*summary, p_value(summary))


def paired_images(a: np.ndarray, b: np.ndarray) -> Difference:
    """Compares two arms image by image: a - b over float64 [N], with a bootstrap interval and the paired t-test.

    What is drawn again is the test images, not the models: the interval says how far these trained models differ on
    other images, and nothing of other seeds.
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    summary = summarize(differences.tolist())
    if summary.error > 0:
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
    return Difference(*summary, p_value(summary))


def p_value(summary: Summary) -> float:
    """Two-sided p-value of mean 0, by Student's t; NaN for one value."""
    if summary.error == 0:
        return 1.0 if summary.mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(summary.mean / summary.error), summary.size - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: what each p-value is worth as one of a family; NaN stays out of the family."""
    order = sorted((index for index, p in enumerate(p_values) if not math.isnan(p)), key=lambda index: p_values[index])
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def power(effect: float, count: int) -> float:
    """Power of the two-sided paired t-test for `count` pairs whose mean difference is `effect` standard deviations."""
    degrees, shift = count - 1, abs(effect) * math.sqrt(count)
    critical = stats.t.ppf(1 - ALPHA / 2, degrees)
    # Far from zero scipy gives NaN for the far tail, which is nothing there.
    return float(stats.nct.sf(critical, degrees, shift) + np.nan_to_num(stats.nct.cdf(-critical, degrees, shift)))


def seeds_needed(difference: Difference) -> int | None:
    """How many seeds a difference of this size and spread needs for power 0.8; None where no such number is told.

    The spread is estimated from the seeds at hand, so a number from two or three seeds is itself rough.
    """
    if math.isnan(difference.error) or difference.mean == 0:
        return None
    if difference.error == 0:
        return 2
    effect = abs(difference.mean) / (difference.error * math.sqrt(difference.size))
    if power(effect, MOST_SEEDS) < POWER:
        return None
    fewest, most = 2, MOST_SEEDS
    while fewest < most:
        middle = (fewest + most) // 2
        fewest, most = (fewest, middle) if power(effect, middle) >= POWER else (middle + 1, most)
    return fewest
