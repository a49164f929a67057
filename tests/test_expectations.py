"""What a study may expect, and how it is judged."""

from types import SimpleNamespace

import numpy as np
import pytest

from vae_lab.errors import UsageError
from vae_lab.report.comparison import compare_all, why_not, why_not_by_image
from vae_lab.report.verdicts import judge
from vae_lab.study.expectations import read_expectations
from vae_lab.study.plan import check_study

VALUE = {"arm": "mvn", "value": -89.8, "tolerance": 0.7, "source": "a table", "mark": "S"}
GAIN = {"difference": ["mixture", "mvn"], "between": [0, None], "source": "a table", "mark": "Q"}


def study(*expected, **changes):
    arms = {"mvn": {"prior": "mvn"}, "mixture": {"prior": "mixture"}}
    return {"arms": arms, "seeds": [0, 1], "metric": "test/elbo", "expected": list(expected)} | changes


def run(elbo, binarization="static", **others):
    params = {"binarization.name": binarization, "likelihood.facts.discrete": "True", "data.facts.levels": "17"}
    params |= {"evaluation.importance_samples": "100"} | others.pop("params", {})
    scored = {"static": "drawn", "dynamic": "drawn"}.get(binarization, binarization)
    tags = {"vae_lab.data_sha256": "abc", "vae_lab.scored.test": scored, "vae_lab.rows.test": "rows"}
    tags |= others.pop("tags", {})
    return SimpleNamespace(metrics={"test/elbo": elbo, "test/log_likelihood": elbo}, params=params, tags=tags)


def other_rows(key, value, elbo=0.0):
    """A run whose scored images differ from those of `run` by a setting of the data."""
    return run(elbo, params={key: value}, tags={"vae_lab.scored.test": "others", "vae_lab.rows.test": "others"})


def verdict(claim, runs, planned=None):
    (read,) = read_expectations(study(claim))
    return judge(read, runs, planned or {arm: set(by_seed) for arm, by_seed in runs.items()})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"arm": "mvn", "value": -1}, r"expected\[0\]=.* must have the keys"),
        (VALUE | {"mark": "X"}, "mark=X must be one of S, Q, C, M"),
        (VALUE | {"source": " "}, "source=  must say where"),
        (VALUE | {"arm": "vamp"}, "names the arm vamp; study.arms has mvn, mixture"),
        (VALUE | {"tolerance": -1}, "tolerance at least 0"),
        (VALUE | {"value": "high"}, "value=high"),
        (VALUE | {"metric": "elbo"}, "metric=elbo must be a metric's name"),
        (VALUE | {"metric": "test/rate + x test/elbo"}, "must be a metric's name"),
        (GAIN | {"metric": "test/rate + test/elbo"}, "is a sum, of which there are values but no differences"),
        (GAIN | {"difference": ["mvn", "mvn"]}, "must be two different arms"),
        (GAIN | {"difference": ["mvn"]}, "must be two different arms"),
        (GAIN | {"between": [None, None]}, "must be two numbers, of which one may be null"),
        (GAIN | {"between": [2, 1]}, "must have the smaller number first"),
        ("-89.8", "must have the keys"),
    ],
)
def test_an_expectation_of_another_form_is_refused_before_any_work(row, message):
    with pytest.raises(UsageError, match=message):
        check_study(study(row))


def test_expectations_of_the_right_form_pass():
    check_study(study(VALUE, GAIN, VALUE | {"metric": "test/rate", "mark": "M"}))
    check_study(study(expected=None))
    assert [claim.stated for claim in read_expectations(study(VALUE, GAIN))] == ["-89.8 within 0.7", "at least 0"]


@pytest.mark.parametrize(
    ("values", "says", "missed_by"),
    [((-90.0, -89.98), "met", 0.0), ((-90.5, -90.5), "met", 0.0), ((-91.0, -91.0), "missed by 0.5", 0.5)],
)
def test_a_value_is_met_by_the_mean_over_seeds_within_its_tolerance(values, says, missed_by):
    found = verdict(VALUE, {"mvn": dict(enumerate(map(run, values)))})
    assert found.says() == says
    assert found.missed_by == pytest.approx(missed_by)
    assert found.holds == (says == "met")


def test_a_difference_is_paired_by_seed_over_the_seeds_that_both_have():
    runs = {"mvn": {0: run(-10.0), 1: run(-20.0)}, "mixture": {1: run(-19.0), 2: run(0.0)}}
    found = verdict(GAIN, runs)
    assert found.got.mean == pytest.approx(1.0)
    assert found.says() == "incomplete (met so far)"
    assert not found.holds
    assert verdict(GAIN | {"between": [None, 0.25]}, runs, {"mvn": {1}, "mixture": {1}}).says() == "missed by 0.75"


@pytest.mark.parametrize(("gains", "undecided"), [((0.1, -0.2, 0.4), True), ((0.9, 1.0, 1.1), False), ((0.1,), False)])
def test_a_claim_whose_interval_holds_a_bound_says_so(gains, undecided):
    runs = {
        "mvn": {seed: run(-90.0) for seed in range(len(gains))},
        "mixture": {seed: run(-90.0 + gain) for seed, gain in enumerate(gains)},
    }
    found = verdict(GAIN, runs)
    assert found.says() == ("undecided (met by the mean)" if undecided else "met")
    assert found.why.endswith(", holds 0") == undecided


def test_a_claim_without_runs_is_not_run_and_one_from_memory_is_never_judged():
    assert verdict(VALUE, {}).says() == "not run"
    assert not verdict(VALUE, {}).holds
    missed = verdict(VALUE | {"mark": "M"}, {"mvn": {0: run(-300.0)}})
    assert missed.holds
    assert missed.says() == "not judged, from memory (missed by 210)"


@pytest.mark.parametrize(
    ("other", "metric", "reason"),
    [
        (run(0, "dynamic"), "test/elbo", None),
        (run(0, "threshold"), "test/elbo", "other pixels: binarization.name static against threshold"),
        (run(0, "none"), "test/elbo", "other pixels"),
        (run(0, tags={"vae_lab.data_sha256": "xyz"}), "test/elbo", "other data"),
        (other_rows("data.levels", "256"), "test/elbo", "other pixels: data.levels none against 256"),
        (other_rows("data.pad_to", "[32, 32]"), "test/elbo", "other pixels: data.pad_to none against [32, 32]"),
        (other_rows("data.split_seed", "1"), "test/elbo", None),
        (run(0, params={"likelihood.facts.discrete": "False"}), "test/elbo", "kind of likelihood"),
        (run(0, params={"evaluation.importance_samples": "5000"}), "test/log_likelihood", "K of the log-likelihood"),
        (run(0, params={"evaluation.importance_samples": "5000"}), "test/elbo", None),
        (run(0, "threshold"), "perf/images_per_second", None),
    ],
)
def test_values_of_other_things_are_not_subtracted(other, metric, reason):
    found = why_not(run(0), other, metric)
    assert found is None if reason is None else reason in found


def test_grey_pixels_compare_with_dequantized_ones_by_bits_per_dim_alone():
    grey, noisy = run(0, "none"), run(0, "dequantized", params={"likelihood.facts.discrete": "False"})
    assert why_not(grey, noisy, "test/bits_per_dim") is None
    assert why_not(grey, noisy, "test/log_likelihood") is not None
    crossed = run(0, "none", params={"likelihood.allow_grey": "True"})
    assert why_not(crossed, grey, "test/elbo") is not None


@pytest.mark.parametrize("key", ["data.split_seed", "data.test_fraction", "data.validation_size"])
def test_arms_with_other_test_rows_are_compared_by_seed_and_not_by_image(key):
    runs = {"a": {0: run(-10.0), 1: run(-11.0)}, "b": {seed: other_rows(key, "1", -9.0 + seed) for seed in (0, 1)}}
    assert why_not_by_image(runs["a"][0], runs["b"][0], "test/elbo") == f"other rows are scored: {key} none against 1"
    (found,) = compare_all(runs, "a", "test/elbo", lambda run: np.arange(20.0))
    assert found.over_seeds.size == 2
    assert found.over_images is None
    assert found.notes == [f"b and a are not paired by image: other rows are scored: {key} 1 against none"]


def test_arms_that_came_out_bitwise_equal_are_told():
    values = {"a": [-10.0, -11.0], "b": [-10.0, -11.0], "c": [-10.0, -11.5]}
    runs = {arm: {seed: run(value) for seed, value in enumerate(of_arm)} for arm, of_arm in values.items()}
    b, c = compare_all(runs, "a", "test/elbo", lambda run: np.full(20, run.metrics["test/elbo"]))
    assert b.notes == ["b and a came out bitwise equal: what they differ in does nothing"]
    assert c.notes == []


def test_digests_of_scored_images_say_which_runs_share_them():
    from vae_lab.binarization import Dynamic, Static, Threshold
    from vae_lab.data.dataset import Dataset, Split
    from vae_lab.data.images import run_images

    def tags(kind, draw=0, levels=17):
        rows = Split(np.random.default_rng(draw).integers(0, 17, (20, 8, 8, 1), np.uint8))
        return run_images(Dataset("x", levels, "", "", rows, rows[:0], rows), kind()).tags(["test", "val"])

    assert tags(Static) == tags(Dynamic)
    assert tags(Static).keys() == {"vae_lab.scored.test", "vae_lab.rows.test"}
    for other in (tags(Threshold), tags(Static, draw=1), tags(Static, levels=256)):
        assert other["vae_lab.scored.test"] != tags(Static)["vae_lab.scored.test"]
    assert tags(Threshold)["vae_lab.rows.test"] == tags(Static)["vae_lab.rows.test"]


def test_a_refused_pairing_says_why_in_comparison_and_verdict():
    runs = {"mvn": {0: run(-10.0)}, "mixture": {0: run(-9.0, "threshold")}}
    (comparison,) = compare_all(runs, "mvn", "test/elbo", lambda run: None)
    assert comparison.refused.startswith("not comparable by test/elbo: other pixels")
    assert comparison.over_seeds is None
    assert verdict(GAIN, runs).says() == "refused"
    assert not verdict(GAIN, runs).holds


def test_comparisons_are_corrected_over_all_arms():
    near = [0.0, 0.1, -0.1, 0.05]
    values = {"mvn": [0.0] * 4, "a": [1 + x for x in near], "b": [0.1 + x for x in near]}
    runs = {arm: {seed: run(value) for seed, value in enumerate(of_arm)} for arm, of_arm in values.items()}
    a, b = compare_all(runs, "mvn", "test/elbo", lambda run: None)
    assert a.seeds_holm == pytest.approx(2 * a.over_seeds.p)
    assert b.seeds_holm == pytest.approx(b.over_seeds.p)
    assert a.needed < b.needed
    a, b = compare_all(runs, "mvn", "test/elbo", lambda run: run.metrics["test/elbo"] * np.linspace(-4, 6, 20))
    assert [a.images_holm, b.images_holm] == pytest.approx([2 * a.over_images.p, 2 * b.over_images.p])
