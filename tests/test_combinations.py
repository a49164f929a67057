"""Every legal pair of options, over all axes, trains and is evaluated in one of the combinations below."""

import random

import numpy as np
import pytest
import tensorflow as tf

from vae_lab.config import compose, options, parts
from vae_lab.config.checks import ACROSS_AXES
from vae_lab.config.compatibility import AXES, Options, combinations, covering_set, illegal_pairs, pairs_of
from vae_lab.config.settings import settings_of
from vae_lab.data import digits
from vae_lab.data.dataset import Dataset, Split
from vae_lab.data.images import run_images
from vae_lab.run.program import new_program

TINY = {
    "hidden": [8],
    "components": 4,
    "categories": 2,
    "context": 4,
    "couplings": 2,
    "steps": 2,
    "reflections": 2,
    "bins": 3,
    "samples": 2,
    "upper": [1],
    "groups": 2,
    "filters": {2: [4, 6], 3: [4, 4, 6]},
}
LEVELS = 17


@pytest.fixture(scope="module")
def legality():
    return combinations("data.facts.levels=17")


@pytest.fixture(scope="module")
def images():
    """Digits in the middle of 28 x 28 pixels, as the deep convolutions need."""
    pixels = digits.load(None, 0).train.pixels[:100]
    rows = Split(np.pad(pixels, ((0, 0), (10, 10), (10, 10), (0, 0))))
    return Dataset("padded digits", LEVELS, "", "", rows, rows[:0], rows)


def tiny(axis, name):
    """Overrides that make an option small."""
    option = options.read_option(axis, name)
    for key, value in TINY.items():
        if key in option:
            if key == "filters":
                value = value.get(len(option.filters))
            if value is not None:
                yield f"{axis}.{key}={value}"


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
def test_every_legal_pair_trains_and_is_evaluated(legality, images):
    """Two steps and an evaluation each, without jit; losses are finite and every network moves."""
    tf.config.run_functions_eagerly(True)
    try:
        for combination in covering_set(legality[0]):
            train_and_evaluate(combination, images)
    finally:
        tf.config.run_functions_eagerly(False)


def train_and_evaluate(combination, images):
    choices = dict(zip(AXES, combination, strict=True))
    shrunk = [override for axis, name in choices.items() for override in tiny(axis, name)]
    cfg = compose.compose_unchecked(
        "data=mnist",
        "data.facts.levels=17",
        *(f"{axis}={name}" for axis, name in choices.items()),
        *shrunk,
        "latent_size=2",
        "training.batch_size=50",
        "training.jit=false",
    )
    settings = settings_of(cfg)
    pixels = run_images(images, parts.make(settings.options["binarization"]))
    fixed = pixels.fixed
    built = new_program(settings, pixels)
    before = [weight.numpy() for weight in built.model.trainable_variables]
    results = list(built.trainer.train(tf.constant(pixels.train.pixels), 0, 1))
    assert results[-1].step == 2, choices
    assert np.all(np.isfinite(list(results[-1].running.values()))), choices
    changed = [
        not np.array_equal(old, new.numpy()) for old, new in zip(before, built.model.trainable_variables, strict=True)
    ]
    assert np.mean(changed) > 0.5, choices
    values = built.elbo(fixed["test"], 1, 0)
    assert np.all(np.isfinite(values["elbo"])), choices
    assert values["posterior_mean"].shape[0] == 100
    assert np.all(np.isfinite(built.log_likelihood(fixed["test"], 2, 0))), choices
