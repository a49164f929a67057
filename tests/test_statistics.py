"""Statistics against textbook values, and the claims that are judged by them."""

import math

import numpy as np
import pytest
from scipy import stats

from vae_lab.report.statistics import Difference, holm, p_value, paired, paired_images, power, seeds_needed, summarize

# Student's sleep data (Biometrika 1908): extra hours of ten patients under two drugs, published with the paired test.
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_summary_is_the_textbooks_t_interval():
    summary = summarize([1.0, 2.0, 3.0, 4.0])
    error = math.sqrt(5 / 3) / 2
    assert summary == pytest.approx((4, 2.5, error, 2.5 - 3.182446 * error, 2.5 + 3.182446 * error), rel=1e-6)


def test_summary_of_one_value_has_a_mean_and_no_error():
    one = summarize([3.0])
    assert (one.size, one.mean) == (1, 3.0)
    assert all(math.isnan(value) for value in one[2:])


def test_paired_test_of_the_sleep_data_is_the_published_one():
    found = paired(DRUG_1, DRUG_2)
    assert found.mean == pytest.approx(-1.58)
    assert found.mean / found.error == pytest.approx(-4.0621, abs=1e-4)
    assert found.p == pytest.approx(0.002833, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((-2.4598858, -0.7001142), abs=1e-6)


def test_pairing_is_by_place_and_not_by_size():
    assert paired(DRUG_1, DRUG_2[::-1]).p > 0.05


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([20, 31], [19, 30]),
        ([-88.3, -88.7, -89.1], [-90.4, -90.8, -91.2]),  # 2.1 each, but for rounding
    ],
)
def test_differences_without_spread_have_neither_interval_nor_p_value(a, b):
    found = paired(a, b)
    assert found[:3] == (len(a), pytest.approx(a[0] - b[0]), 0.0)
    assert all(math.isnan(value) for value in found[3:])
    assert all(math.isnan(value) for value in paired_images(np.array(a), np.array(b))[3:])


def test_counts_are_tested_by_all_signs_of_their_differences():
    draw = np.random.default_rng(3)
    for size in (5, 6, 9, 12):
        a, b = draw.poisson(23, size), draw.poisson(20, size)
        found = paired(a, b)
        signs = np.array(np.meshgrid(*[[-1, 1]] * size)).reshape(size, -1)
        share = np.mean(np.abs((a - b) @ signs) >= abs((a - b).sum()))
        assert found.p == share
        assert math.isnan(found.low) == (size < 6)
        if size >= 6:  # the interval holds the centres that the test does not reject
            for end, inwards in ((found.low, 1e-6), (found.high, -1e-6)):
                assert paired(a, b, end - inwards).p <= 0.05 < paired(a, b, end + inwards).p
    again = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert found.p == pytest.approx(again.pvalue)


def test_values_of_which_most_are_tied_are_no_normal_ones():
    tied, normal = [0.5, 0.5, 0.5, 0.0], [0.5, 0.6, 0.4, 0.3]
    assert p_value(tied, 0.0) == 0.25
    assert p_value(normal, 0.0) == pytest.approx(stats.ttest_1samp(normal, 0.0).pvalue)
    assert p_value(normal, 0.45) == pytest.approx(stats.ttest_1samp(normal, 0.45).pvalue)


def test_exact_test_of_counts_errs_no_more_often_than_it_says():
    """Counts of one distribution, so that every difference that is found is a false one."""
    draw = np.random.default_rng(4)
    wrong = sum(paired(draw.poisson(0.3, 8), draw.poisson(0.3, 8)).p <= 0.05 for _ in range(2000))
    assert wrong / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    with_gap = holm([0.01, math.nan, 0.02])
    assert with_gap[0] == pytest.approx(0.02)
    assert math.isnan(with_gap[1])


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (2.0, 5)])
def test_number_of_seeds_is_that_of_the_tables(effect, pairs):
    def of_spread_3(count, mean):
        return Difference(count, mean, 3 / math.sqrt(count), 0.0, 0.0, 0.0)

    assert seeds_needed(of_spread_3(4, 0.0), 3 * effect) == seeds_needed(of_spread_3(9, 7.0), 3 * effect) == pairs
    assert power(effect, pairs) >= 0.8 > power(effect, pairs - 1)


def test_number_of_seeds_is_told_at_the_corrected_level():
    """Five arms are four comparisons: for one standard deviation 15 seeds, and not 10, as simulated too."""
    one = Difference(5, 0.0, 1 / math.sqrt(5), 0.0, 0.0, 0.0)
    assert seeds_needed(one, 1.0, 0.05 / 4) == 15
    drawn = np.random.default_rng(5).normal(1.0, 1.0, (20_000, 15))
    assert np.mean(stats.ttest_1samp(drawn, 0.0, axis=1).pvalue <= 0.05 / 4) == pytest.approx(
        power(1.0, 15, 0.05 / 4), abs=0.01
    )


def test_number_of_seeds_at_the_ends():
    def spread(deviation, count=5):
        return Difference(count, 2.0, deviation / math.sqrt(count), 0, 0, 0)

    assert seeds_needed(paired([-88.3, -88.7, -89.1], [-90.4, -90.8, -91.2]), 0.5) == 2
    assert [seeds_needed(spread(1e-12), effect) for effect in (1e-6, 1.0, 1e6)] == [2, 2, 2]
    assert seeds_needed(spread(1.0), 11.4) == 3
    assert seeds_needed(spread(1.0), 1e-6) is None
    assert seeds_needed(spread(math.nan), 1.0) is None


def test_images_are_paired_and_their_interval_is_the_normal_one_for_many():
    draw = np.random.default_rng(1)
    common = draw.normal(-90, 20, 4000)
    a, b = common + draw.normal(0.3, 2, 4000), common
    found = paired_images(a, b)
    error = (a - b).std(ddof=1) / math.sqrt(4000)
    low, high = (a - b).mean() - 1.96 * error, (a - b).mean() + 1.96 * error
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.008)
    assert found.p < 1e-6
    assert paired_images(a, b) == found
    assert found.mean == -paired_images(b, a).mean


def test_bootstrap_covers_the_mean_of_a_skewed_sample_nineteen_times_in_twenty():
    draw = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        found = paired_images(draw.exponential(1.0, 300), np.ones(300))
        covered += found.low <= 0 <= found.high
    assert 87 <= covered <= 100
