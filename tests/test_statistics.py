"""Statistics against textbook values, and the claims that are judged by them."""

import math

import numpy as np
import pytest

from vae_lab.report.statistics import Difference, holm, paired, paired_images, power, seeds_needed, summarize

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


@pytest.mark.parametrize(("a", "b", "p"), [([1.0, 2.0], [1.0, 2.0], 1.0), ([1.0, 2.0], [0.0, 1.0], 0.0)])
def test_differences_without_spread_have_a_p_value_all_the_same(a, b, p):
    assert paired(a, b).p == p


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    with_gap = holm([0.01, math.nan, 0.02])
    assert with_gap[0] == pytest.approx(0.02)
    assert math.isnan(with_gap[1])


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (2.0, 5)])
def test_number_of_seeds_is_that_of_the_tables(effect, pairs):
    def seen_in(count):
        return Difference(count, effect, 1 / math.sqrt(count), 0.0, 0.0, 0.0)

    assert seeds_needed(seen_in(4)) == seeds_needed(seen_in(9)) == pairs
    assert power(effect, pairs) >= 0.8 > power(effect, pairs - 1)


def test_number_of_seeds_at_the_ends():
    assert seeds_needed(Difference(2, 100.0, 0.01, 0, 0, 0)) == 2
    assert seeds_needed(Difference(5, -11.4, math.sqrt(1 / 5), 0, 0, 0)) == 3
    assert seeds_needed(Difference(5, 1e-6, 1.0, 0, 0, 0)) is None
    assert seeds_needed(Difference(1, 1.0, math.nan, 0, 0, 0)) is None


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
