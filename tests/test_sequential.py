"""Confidence sequences: their promise by simulation, and the decisions that are made by them."""

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.optimize import brentq

from vae_lab.report.bounded_sequence import OutOfRange, bounds_after_each
from vae_lab.report.confidence_sequence import bounds, critical, e_value
from vae_lab.report.metric_range import UnknownRange, metric_range
from vae_lab.report.rounds import Rule, next_round
from vae_lab.report.sequential import courses_csv, courses_of, judge_by
from vae_lab.report.statistics import power
from vae_lab.report.verdicts import MET, MISSED, judge
from vae_lab.study.study import PlannedJob, make_study
from vae_lab.tracking.records import RunRecord

PATHS, LONGEST, ALPHA = 20_000, 50, 0.05


def t_paths(values):
    """Student's statistic against 0 of the first 2, 3, ... values of each row."""
    count = np.arange(1, values.shape[1] + 1)
    mean = np.cumsum(values, axis=1) / count
    squares = np.cumsum(values**2, axis=1) - count * mean**2
    return mean[:, 1:] / np.sqrt(squares[:, 1:] / (count[1:] - 1) / count[1:])


def always_valid(longest=LONGEST, alpha=ALPHA):
    return np.array([critical(count, alpha) for count in range(2, longest + 1)])


def peeked(longest=LONGEST, alpha=ALPHA):
    return stats.t.ppf(1 - alpha / 2, np.arange(1, longest))


def ever_beyond(t, limits):
    return float((np.abs(t) > limits).any(axis=1).mean())


DRAWS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "t with 3 degrees of freedom": lambda rng, shape: rng.standard_t(3, shape),
    "exponential less another": lambda rng, shape: rng.exponential(size=shape) - rng.exponential(size=shape),
    "exponential less its mean": lambda rng, shape: rng.exponential(size=shape) - 1,
}


@pytest.mark.parametrize("kind", DRAWS)
def test_the_interval_misses_the_mean_at_no_number_of_seeds_but_by_its_level(kind, figure):
    """Two arms of one kind differ symmetrically; the last kind is as skewed as no difference of like arms is."""
    t = t_paths(DRAWS[kind](np.random.default_rng(16), (PATHS, LONGEST)))
    missed, by_t = ever_beyond(t, always_valid()), ever_beyond(t, peeked())
    promised = kind != "exponential less its mean"
    expected = "at most 0.05" if promised else "0.05 is promised of normal values; shown"
    figure(f"False decisions at any of 2 to 50 seeds, differences {kind}", missed, expected)
    figure(f"The same of Student's t interval, looked at after each seed, differences {kind}", by_t, "shown: not valid")
    assert not promised or missed <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / PATHS)
    assert by_t > 0.2 > missed


@pytest.mark.parametrize(("count", "t"), [(2, 1.3), (5, -2.0), (12, 3.1)])
def test_the_evidence_is_the_ratio_of_scale_invariant_likelihoods(count, t):
    """By quadrature over the effect, of noncentral t densities: t says all of the values' shape that the mean does."""

    def weighted(effect):
        under = stats.nct.pdf(t, count - 1, effect * math.sqrt(count)) / stats.t.pdf(t, count - 1)
        return stats.norm.pdf(effect, scale=2) * under

    assert e_value(t, count) == pytest.approx(integrate.quad(weighted, -12, 12, limit=200)[0], rel=1e-6)


@pytest.mark.parametrize("count", [2, 3, 10, 50])
def test_the_evidence_has_mean_one_under_the_null(count):
    def weighted(t):
        return 2 * e_value(t, count) * stats.t.pdf(t, count - 1)

    assert integrate.quad(weighted, 0, np.inf, limit=500, epsabs=1e-10)[0] == pytest.approx(1, rel=1e-5)


def test_the_interval_ends_where_the_evidence_reaches_its_level():
    values = [1.2, 0.3, 0.9, 1.6, 0.1, 1.1, 0.7]
    for end in bounds(values, 0.01):
        t = stats.ttest_1samp(values, end).statistic
        assert e_value(t, len(values)) == pytest.approx(100)


def test_few_values_equal_ones_and_infinite_ones_have_no_interval():
    everything = (-math.inf, math.inf)
    for values in ([], [1.0], [1.0, 2.0], [1.0] * 8, [1.0, 2.0, 1.5, math.inf, 2.0]):
        assert bounds(values, ALPHA) == everything
    shifted = [-88.3 + 90.4, -88.7 + 90.8, -89.1 + 91.2, -90.3 + 92.4, -80.5 + 82.6]  # 2.1 each, but for rounding
    assert bounds(shifted, ALPHA, scale=90.4) == everything


@pytest.mark.parametrize("effect", [1.0, 2.0])
def test_what_it_costs_to_be_allowed_to_look(effect, figure):
    """Against the fixed design of power 0.8, and the sequence that ends with the same power."""
    fixed = next(count for count in range(2, 100) if power(effect, count) >= 0.8)
    t = t_paths(np.random.default_rng(17).standard_normal((5000, 100)) + effect)
    beyond = np.abs(t) > always_valid(100)
    most = 2 + int(np.argmax(beyond.cumsum(axis=1).astype(bool).mean(axis=0) >= 0.8))
    within = beyond[:, : most - 1]
    used = np.where(within.any(axis=1), 2 + within.argmax(axis=1), most)
    of = f"power 0.8, effect {effect:g} standard deviations"
    figure(f"Seeds of the fixed design, {of}", fixed, "shown")
    figure(f"Mean number of seeds of the sequence, {of}", used.mean(), "shown")
    figure(f"Largest number of seeds of the sequence, {of}", most, "shown")
    assert fixed < used.mean() < most < 2.5 * fixed


# Bounded values

BOUNDED = {
    "of two coins": (lambda rng, shape: rng.integers(0, 2, shape).astype(float), 0.5),
    "1 with probability 0.1": (lambda rng, shape: (rng.random(shape) < 0.1).astype(float), 0.1),
    "of a beta distribution (2, 5)": (lambda rng, shape: rng.beta(2, 5, shape), 2 / 7),
    "two counts' difference, each of 20 with 0.9": (
        lambda rng, shape: (20 + rng.binomial(20, 0.9, shape) - rng.binomial(20, 0.9, shape)) / 40,
        0.5,
    ),
}


@pytest.mark.parametrize("kind", BOUNDED)
def test_the_interval_of_bounded_values_misses_the_mean_at_no_number_of_seeds_but_by_its_level(kind, figure):
    draw, mean = BOUNDED[kind]
    paths = 1000
    values = draw(np.random.default_rng(18), (paths, LONGEST))
    found = np.array([bounds_after_each(path, ALPHA, 0, 1) for path in values])
    missed = float(((found[..., 0] > mean) | (found[..., 1] < mean)).any(axis=1).mean())
    figure(f"False decisions at any of 1 to 50 seeds, bounded values {kind}", missed, "at most 0.05")
    figure(f"Mean width after 15 of them, values {kind}", float(np.ptp(found[:, 14], axis=-1).mean()), "shown")
    assert missed <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / paths)
    assert (np.diff(found[..., 0], axis=1) >= 0).all()
    assert (np.diff(found[..., 1], axis=1) <= 0).all()


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.8])
def test_the_capital_of_the_bets_is_fair_where_the_mean_is_right(mean):
    """All 2^8 outcomes of a coin whose mean it is: the interval leaves it out in no more than alpha of their weight."""
    missed = 0.0
    for outcome in range(256):
        values = [float(outcome >> place & 1) for place in range(8)]
        low, high = bounds_after_each(values, 0.2, 0, 1)[-1]
        weight = math.prod(mean if value else 1 - mean for value in values)
        missed += weight * (not low <= mean <= high)
    assert missed <= 0.2


def test_equal_values_of_known_range_come_to_the_end_that_arithmetic_gives():
    """Ones: from the fourth on every stake is the largest there is at the end, and gives 1 + 0.75 (1 - m)/m."""
    found = bounds_after_each([1.0] * 12, ALPHA, 0, 1)
    for count, (low, high) in enumerate(found[3:], 4):
        assert low == pytest.approx(1 / (1 + ((2 / ALPHA) ** (1 / count) - 1) / 0.75), rel=1e-9)
        assert high == 1
    turned = bounds_after_each([-3.0] * 12, ALPHA, -3, 5)[-1]
    assert turned == pytest.approx((-3, 5 - 8 * low))


def test_values_beyond_their_range_are_refused():
    with pytest.raises(OutOfRange, match="values from 2 to 21 are not all between 0 and 20"):
        bounds_after_each([2, 21], ALPHA, 0, 20)


# Claims and rounds

STUDY = {
    "arms": {"a": {}, "b": {}, "c": {}},
    "seeds": [0, 1, 2],
    "metric": "test/elbo",
    "expected": [
        {"difference": ["a", "b"], "between": [0, None], "source": "x", "mark": "S"},
        {"difference": ["c", "b"], "between": [0, None], "source": "x", "mark": "S"},
        {"difference": ["c", "b"], "between": [-1, 1], "source": "x", "mark": "S"},
        {"arm": "b", "value": -90, "tolerance": 2, "source": "x", "mark": "M"},
        {"arm": "b", "metric": "test/active_units", "value": 5, "tolerance": 0.2, "source": "x", "mark": "S"},
    ],
}


def study(**changes):
    jobs = [PlannedJob(arm, seed, (f"seed={seed}",), f"{arm}{seed}") for arm in "abc" for seed in (0, 1, 2)]
    return make_study("toy", STUDY | changes, jobs, "")


def record(arm, seed, elbo, seconds=60):
    tags = {"vae_lab.scored.test": "x", "vae_lab.arm": arm}
    metrics = {"test/elbo": elbo, "test/active_units": 5.0}
    params = {"latent_size": "20"}
    return RunRecord(f"{arm}{seed}", "", "FINISHED", params, metrics, tags, "0", 0, 1000 * seconds, "")


def all_runs(gain, seeds=40, spread=0.3):
    """Runs of three arms: b, and by `gain` those that differ from it."""
    rng = np.random.default_rng(5)
    noise = {arm: rng.normal(0, spread, seeds) for arm in "abc"}
    return {
        arm: {seed: record(arm, seed, -90 + gain.get(arm, 0) + noise[arm][seed]) for seed in range(seeds)}
        for arm in "abc"
    }


def played(rule, everything, stop=math.inf, start=None, failing=()):
    """Does what the rule asks for, and what it has asked for: from the planned seeds on, or going on from `start`."""
    there = start or {arm: {seed: runs[seed] for seed in (0, 1, 2)} for arm, runs in everything.items()}
    failed, asked = {}, []
    while (now := next_round(study(), there, rule, failed)).seed is not None and len(asked) < stop:
        for arm in now.arms:
            asked.append((arm, now.seed))
            if (arm, now.seed) in failing:
                failed.setdefault(arm, set()).add(now.seed)
            else:
                there[arm][now.seed] = everything[arm][now.seed]
    return there, asked, now


def test_the_real_difference_ends_early_and_the_null_one_at_the_limit():
    there, asked, now = played(Rule(12), all_runs({"a": 3.0}))
    real, null, same, _ = now.courses
    assert real.decision[0] == MET
    assert real.decision[1] < same.decision[1] <= 12
    assert (null.decision, same.decision[0]) == (None, MET)
    assert max(seed for arm, seed in asked if arm == "a") == real.decision[1] - 1
    assert max(there["b"]) == max(there["c"]) == 11
    assert now.ended == "sweep.max_seeds=12 is reached"


def test_a_sweep_that_was_killed_asks_for_the_same_seeds_and_comes_to_the_same_verdicts():
    everything = all_runs({"a": 3.0})
    whole, asked, now = played(Rule(12), everything)
    for stop in (1, 2, 5, 9):
        cut, before, _ = played(Rule(12), everything, stop)
        del cut[before[-1][0]][before[-1][1]]  # the kill was in the midst of a round
        again, after, then = played(Rule(12), everything, start=cut)
        assert before[:-1] + after == asked
        assert again == whole
        assert then == now


def test_a_seed_that_fails_is_passed_over():
    there, _, now = played(Rule(8), all_runs({"a": 3.0}), failing={("c", 4)})
    assert 4 not in there["c"]
    assert [step.seed for step in now.courses[1].steps] == [0, 1, 2, 3, 5, 6, 7]


def test_runs_that_no_round_asked_for_decide_nothing():
    everything = all_runs({"a": 3.0})
    assert next_round(study(), everything, Rule(12)).courses == played(Rule(12), everything)[2].courses


def test_a_decision_stands_whatever_comes_later():
    runs = all_runs({"a": 3.0}, seeds=8)
    first = courses_of(study(), runs)[0].decision
    runs["a"] |= {seed: record("a", seed, -100) for seed in range(8, 20)}
    runs["b"] |= {seed: record("b", seed, -90) for seed in range(8, 20)}
    later = courses_of(study(), runs)[0]
    assert later.decision == first
    assert later.last.mean < 0


def test_the_budget_is_of_run_time_and_is_kept():
    there, _, now = played(Rule(40, budget_hours=0.3), all_runs({}))
    assert now.ended == "sweep.budget_hours=0.3 would be passed"
    assert 15 <= sum(map(len, there.values())) <= 18  # of a minute each


def test_an_arm_that_has_lost_is_dropped_from_the_claims_it_makes():
    everything = all_runs({"c": -6.0}, spread=1.5)
    expected = [
        {"difference": ["c", "b"], "between": [0, None], "source": "x", "mark": "S"},
        {"difference": ["c", "a"], "between": [-6, None], "source": "x", "mark": "S"},
    ]

    def ended(drop):
        there = {arm: dict(runs) for arm, runs in everything.items()}
        return next_round(study(expected=expected), there, Rule(10, drop_lost=drop))

    kept, dropped = ended(False), ended(True)
    assert kept.courses[0].decision[0] == MISSED
    assert kept.ended == "sweep.max_seeds=10 is reached"
    assert dropped.ended == "an arm that has lost was dropped"
    assert len(dropped.courses[1].steps) == kept.courses[0].decision[1] < len(kept.courses[1].steps)


def test_the_family_is_the_judged_claims():
    runs = all_runs({"a": 3.0}, seeds=12)
    courses = courses_of(study(), runs)
    assert [one.alpha for one in courses] == [0.05 / 4] * 4
    verdicts = [judge_by(courses, judge(one, runs, study().seeds)) for one in study().expected]
    assert "not judged" in verdicts[3].says()
    assert verdicts[4].undecided
    assert courses[3].is_open
    assert verdicts[0].decided
    assert math.isnan(verdicts[0].p)
    assert verdicts[0].says() == f"met by {courses[0].decision[1]} seeds"


def test_a_claim_about_counts_is_decided_by_their_range():
    """A gain of 12 of 20 latents, always; and what could be decided, but not so soon."""
    runs = all_runs({}, seeds=20)
    for seed, run in runs["a"].items():
        runs["a"][seed] = replace(run, metrics=run.metrics | {"test/active_units": 17.0})
    claim = {"difference": ["a", "b"], "metric": "test/active_units", "source": "x", "mark": "S"}
    more, many = courses_of(study(expected=[claim | {"between": [0, None]}, claim | {"between": [8, None]}]), runs)
    assert more.decision == (MET, 12)
    assert many.is_open
    low, high = bounds_after_each([12.0] * 20, ALPHA / 2, -20, 20)[-1]
    assert (many.last.low, many.last.high) == (low, high)
    assert 0 < low < 8 < 12 < high


def test_the_range_of_a_metric_is_what_the_settings_say():
    flat, layers = {"latent_size": "8"}, {"latent_size": "8", "posterior.upper": "[16, 4]"}
    assert metric_range("test/active_units", flat) == (0, 8)
    assert metric_range("test/active_units", layers) == (0, 28)
    assert metric_range("val/active_units_2", layers) == (0, 16)
    assert metric_range("test/high_pareto_k", flat) == (0, 1)
    for metric in ("test/elbo", "test/pareto_k", "test/rate + test/distortion", "gradient/encoder/snr"):
        assert metric_range(metric, flat) is None
    grid = flat | {"encoder.facts.spatial_latent": "True"}
    for metric, params in (("test/active_units", grid), ("2 test/active_units", flat), ("test/active_units_4", layers)):
        with pytest.raises(UnknownRange):
            metric_range(metric, params)


def test_values_that_may_not_be_compared_ask_for_no_seeds():
    runs = all_runs({})
    for seed, run in runs["a"].items():
        runs["a"][seed] = replace(run, params=run.params | {"data.name": "other"}, tags={"vae_lab.scored.test": "y"})
    course = courses_of(study(), runs)[0]
    assert "not comparable" in course.refused
    assert not course.is_open


def test_the_exported_intervals_come_out_again_by_a_few_other_lines():
    rows = list(csv.DictReader(io.StringIO(courses_csv(courses_of(study(), all_runs({"a": 3.0}, seeds=9))))))
    assert len(rows) == 36
    for end in (5, 9, 27):
        recomputed(rows[end - int(rows[end - 1]["seeds"]) : end])


def recomputed(rows):
    """Asserts the last of a claim's rows from its values: the interval by root finding on the evidence."""
    values, last = [float(row["value"]) for row in rows], rows[-1]
    assert float(last["mean"]) == pytest.approx(np.mean(values))

    def evidence(at):
        count, candidates = len(values), np.array(values) - at
        shrunk = candidates.sum() ** 2 * 4 / (1 + 4 * count)
        total = (candidates**2).sum()
        return (
            -0.5 * math.log(1 + 4 * count) - count / 2 * math.log(1 - shrunk / total) + math.log(float(last["alpha"]))
        )

    if math.isinf(float(last["high"])):
        assert evidence(np.mean(values) + 1e9) < 0
    else:
        far = np.mean(values) + 1e4
        assert float(last["high"]) == pytest.approx(brentq(evidence, np.mean(values), far), rel=1e-7)
        assert float(last["low"]) == pytest.approx(brentq(evidence, -far, np.mean(values)), rel=1e-7)
