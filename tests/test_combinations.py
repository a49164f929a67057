"""Every legal pair of options, over all axes, trains and is evaluated in one of the combinations below."""

import random

import pytest
import tensorflow as tf

from vae_lab.config import options
from vae_lab.config.checks import ACROSS_AXES
from vae_lab.config.compatibility import AXES, Options, combinations, covering_set, illegal_pairs, pairs_of
from vae_lab.testing.combination import train_and_evaluate


@pytest.fixture(scope="module")
def legality():
    return combinations("data.facts.levels=17")


def test_few_combinations_hold_every_legal_pair(legality):
    legal, refusals = legality
    chosen = covering_set(legal)
    assert set().union(*map(pairs_of, chosen)) == set().union(*map(pairs_of, legal))
    assert set(chosen) <= set(legal)
    *_, second, first = everything = sorted(len(options.option_names(axis)) for axis in AXES)
    assert len(chosen) < 1.25 * first * second  # as many as the largest table of pairs would hold, if it were all legal
    assert everything[0] >= 3
    refused = illegal_pairs(legal, refusals)
    assert (AXES.index("encoder"), "mlp", AXES.index("decoder"), "conv_spatial") in refused
    for (one, a, other, b), why in refused.items():
        assert f"{AXES[one]}={a}" in why, why
        assert f"{AXES[other]}={b}" in why, why


def test_combinations_are_legal_exactly_where_every_check_lets_them_pass(legality):
    """Found axis after axis, and here by the checks on whole configurations, of which some hundred are drawn."""
    legal, refusals = set(legality[0]), legality[1]
    offered = Options("data.facts.levels=17")
    draw = random.Random(0)
    drawn = [tuple(draw.choice(options.option_names(axis)) for axis in AXES) for _ in range(600)]
    drawn += draw.sample(sorted(legal), 200)
    for combination in drawn:
        choice = dict(enumerate(combination))
        reasons = [why for check in ACROSS_AXES if (why := offered.reason(check, choice)) is not None]
        assert (combination in legal) == (not reasons), combination
        told = [why for part, why in refusals if part.items() <= choice.items()]
        assert reasons[:1] == told[:1], combination
    assert sum(combination in legal for combination in drawn) < len(drawn) - 100


@pytest.mark.slow
def test_every_legal_pair_trains_and_is_evaluated(legality):
    """Two steps and an evaluation each, without jit; losses are finite and every network moves."""
    tf.config.run_functions_eagerly(True)
    try:
        for combination in covering_set(legality[0]):
            train_and_evaluate(combination)
    finally:
        tf.config.run_functions_eagerly(False)
