"""What a study may expect, and how it is judged."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from vae_lab.config.compose import plain
from vae_lab.config.options import option_names, read_option
from vae_lab.errors import UsageError
from vae_lab.report.comparison import compare_all, why_not, why_not_by_image
from vae_lab.report.family import as_family, p_values
from vae_lab.report.statistics import holm, seeds_needed
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
    [
        ((-90.0, -89.98), "met", 0.0),
        ((-91.0, -91.02), "missed by 0.51", 0.51),
        ((-90.0, -91.0), "undecided (met by the mean)", 0.0),
        ((-90.0, -90.0), "undecided (met by the mean)", 0.0),
        ((-90.0,), "met by one seed", 0.0),
        ((-91.0,), "missed by 0.5, one seed", 0.5),
    ],
)
def test_a_value_is_met_by_the_mean_over_seeds_within_its_tolerance(values, says, missed_by):
    found = verdict(VALUE, {"mvn": dict(enumerate(map(run, values)))})
    assert found.says() == says
    assert found.missed_by == pytest.approx(missed_by)
    assert found.holds == (missed_by == 0)
    assert found.decided == (says in ("met", "missed by 0.51"))


def test_a_difference_is_paired_by_seed_over_the_seeds_that_both_have():
    runs = {"mvn": {0: run(-10.0), 1: run(-20.0)}, "mixture": {1: run(-19.0), 2: run(0.0)}}
    found = verdict(GAIN, runs)
    assert found.got.mean == pytest.approx(1.0)
    assert found.says() == "incomplete (met so far)"
    assert not found.holds
    assert (
        verdict(GAIN | {"between": [None, 0.25]}, runs, {"mvn": {1}, "mixture": {1}}).says()
        == "missed by 0.75, one seed"
    )


@pytest.mark.parametrize(
    ("gains", "says", "note"),
    [
        ((0.1, -0.2, 0.4), "undecided (met by the mean)", "the 95% interval over 3 seeds, -0.645 to 0.845, holds 0"),
        ((0.9, 1.0, 1.1), "met", ""),
        ((-0.9, -1.0, -1.1), "missed by 1", ""),
        ((0.5, 0.5, 0.5), "undecided (met by the mean)", "3 seeds without spread have no interval"),
        ((1.0, 2.0, 3.0), "undecided (met by the mean)", "3 seeds are too few for the exact test of counts"),
        ((0.1,), "met by one seed", "one seed has no interval: from the second on there is one, and it decides"),
    ],
)
def test_a_claim_is_decided_by_its_interval_and_says_what_leaves_it_open(gains, says, note):
    runs = {
        "mvn": {seed: run(-90.0) for seed in range(len(gains))},
        "mixture": {seed: run(-90.0 + gain) for seed, gain in enumerate(gains)},
    }
    found = verdict(GAIN, runs)
    assert (found.says(), found.notes) == (says, note)
    assert (found.decided, found.by_one_seed) == (not note, len(gains) == 1)


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
    a, b = compare_all(runs, "mvn", "test/elbo", lambda run: run.metrics["test/elbo"] * np.linspace(-4, 6, 20))
    assert [a.images_holm, b.images_holm] == pytest.approx([2 * a.over_images.p, 2 * b.over_images.p])


def arms_of(values):
    """By arm, by seed: runs of these values of the ELBO."""
    return {arm: {seed: run(value) for seed, value in enumerate(of_arm)} for arm, of_arm in values.items()}


def page_of(values, *claims, effect=None):
    """The comparisons with mvn and the verdicts of a page."""
    runs = arms_of(values)
    content = study(*claims, arms={arm: {} for arm in values})
    verdicts = [judge(one, runs, {arm: set(runs[arm]) for arm in runs}) for one in read_expectations(content)]
    return as_family(compare_all(runs, "mvn", "test/elbo", lambda run: None), verdicts, "test/elbo", effect)


def test_claims_that_are_differences_are_corrected_with_the_table():
    near = [0.0, 0.1, -0.1, 0.05, 0.02]
    values = {"mvn": [0.0] * 5, "mixture": [0.1 + x for x in near], "flow": [0.13 - x * 1.1 for x in near]}
    again = GAIN | {"difference": ["mvn", "mixture"], "between": [None, 0], "source": "another table"}
    other = GAIN | {"difference": ["flow", "mixture"], "between": [-0.5, 0.1]}
    of_memory = GAIN | {"difference": ["flow", "mixture"], "between": [1, 2], "mark": "M"}
    rows, verdicts = page_of(values, GAIN, again, other, of_memory)
    assert len(p_values(rows, verdicts, "test/elbo")) == 3
    each = [rows[0].over_seeds.p, rows[1].over_seeds.p, verdicts[2].p]
    assert each[0] == verdicts[0].p == verdicts[1].p
    assert [rows[0].seeds_holm, rows[1].seeds_holm, verdicts[2].corrected] == pytest.approx(holm(each))
    assert verdicts[0].corrected == verdicts[1].corrected == rows[0].seeds_holm
    a, b = np.array(values["flow"]), np.array(values["mixture"])
    nearer = max(stats.ttest_rel(a, b + end).pvalue for end in (-0.5, 0.1))
    assert verdicts[2].p == pytest.approx(nearer)


def test_a_claim_that_would_hold_alone_can_be_open_as_one_of_many():
    gains = [0.2, 0.5, 0.7, 0.3]
    (alone,) = page_of({"mvn": [0.0] * 4, "mixture": gains}, GAIN)[1]
    arms = {f"arm-{number}": [0.1, -0.2, 0.3, -0.1 + 0.01 * number] for number in range(4)}
    (among,) = page_of({"mvn": [0.0] * 4, "mixture": gains, **arms}, GAIN)[1]
    assert alone.says() == "met"
    assert among.says() == "undecided (met by the mean)"
    assert among.corrected == pytest.approx(5 * alone.p)
    assert among.notes == f"p = {alone.p:.3f} alone, {among.corrected:.3f} as one of the page's differences"
    assert among.p == alone.p


def test_a_value_of_one_arm_is_judged_by_its_own_interval():
    values = {"mvn": [-90.0, -89.98, -90.02], "mixture": [-91.0, -90.9, -91.2], "flow": [-90.0, -89.9, -90.2]}
    alone, again = page_of(values, VALUE, VALUE | {"source": "another"})[1]
    assert alone.corrected == alone.p == again.corrected


def test_number_of_seeds_is_told_for_the_studys_smallest_effect_alone():
    values = {"mvn": [0.0] * 4, "mixture": [1.0, 1.1, 0.8, 1.3], "flow": [0.1, 0.2, -0.1, 0.4]}
    assert [row.needed for row in page_of(values, GAIN)[0]] == [None, None]
    rows, _ = page_of(values, GAIN, effect=0.2)
    assert rows[0].needed == rows[1].needed == seeds_needed(rows[0].over_seeds, 0.2, 0.05 / 2)
    with pytest.raises(UsageError, match=r"study\.smallest_effect=0 must be a number above 0"):
        check_study(study(smallest_effect=0))


def test_false_decisions_of_a_page_are_at_most_one_in_twenty():
    """Ten claims of arms that do not differ: uncorrected, two pages in five decide at least one of them."""
    draw, decided, alone = np.random.default_rng(6), 0, 0
    arms = ["mvn", *(f"arm-{number}" for number in range(10))]
    claims = [GAIN | {"difference": [arm, "mvn"]} for arm in arms[1:]]
    for _ in range(100):
        _, verdicts = page_of({arm: draw.normal(-90.0, 1.0, 5).tolist() for arm in arms}, *claims)
        decided += any(one.decided for one in verdicts)
        alone += any(one.p <= 0.05 for one in verdicts)
    assert decided <= 11 < 20 <= alone


def test_a_value_whose_tolerance_is_wider_than_the_studys_effect_is_shown_and_not_judged():
    wide = VALUE | {"tolerance": 5.0}
    other = {"arm": "mixture", "value": -88.6, "tolerance": 1.2, "source": "a table", "mark": "S"}
    first, second, third = read_expectations(study(wide, other, wide | {"metric": "test/rate"}))
    reason = "its tolerance of 5 is wider than the 1.2 between the values that are expected of the arms"
    assert (first.judged, first.shown_only) == (False, reason)
    assert second.judged
    assert third.judged  # nothing says what rate is an effect
    found = judge(first, {"mvn": {0: run(-91.0)}}, {"mvn": {0}})
    assert found.says() == f"not judged, {reason} (met)"
    assert not found.by_one_seed
    (alone,) = read_expectations(study(wide, smallest_effect=0.5))
    assert alone.shown_only == "its tolerance of 5 is wider than the 0.5 that is the study's smallest effect"
    assert read_expectations(study(wide))[0].judged


def test_no_experiment_is_judged_by_a_tolerance_wider_than_its_effect():
    shown = set()
    for name in option_names("experiment"):
        content = plain(read_option("experiment", name)).get("study") or {}
        rows = content.get("expected") or []
        for row, read in zip(rows, read_expectations(content) if rows else (), strict=True):
            if "value" not in row:
                continue
            alike = [other for other in rows if "value" in other and other.get("metric") == row.get("metric")]
            values = [other["value"] for other in alike]
            several = len({other["arm"] for other in alike}) > 1
            effect = max(values) - min(values) if several else content.get("smallest_effect", math.inf)
            assert not (read.judged and row["tolerance"] > effect), (name, row)
            if read.decides_nothing:
                shown.add(name)
    assert shown == {
        "iwae_fixed_mnist",
        "iwae_k1_k5",
        "iwae_two_layers",
        "posterior_flows",
        "pytorch_vae",
        "rainforth_combinations",
        "renyi_frey",
    }
