"""A part trained and evaluated in combination with the options of every other axis."""

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.config import compose, options, parts
from vae_lab.config.compatibility import AXES, Combination, Pair, combinations, covering_set, pairs_of
from vae_lab.config.settings import settings_of
from vae_lab.data import digits
from vae_lab.data.dataset import Dataset, Split
from vae_lab.data.images import run_images
from vae_lab.run.program import new_program

LEVELS = 17
TINY: dict[str, Any] = {
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


@cache
def padded_digits() -> Dataset:
    """Digits in the middle of 28 x 28 pixels, as the deep convolutions need."""
    pixels = digits.load(None, 0).train.pixels[:100]
    rows = Split(np.pad(pixels, ((0, 0), (10, 10), (10, 10), (0, 0))))
    return Dataset("padded digits", LEVELS, "", "", rows, rows[:0], rows)


def tiny(axis: str, name: str) -> list[str]:
    """Overrides that make an option small."""
    option = options.read_option(axis, name)
    found = []
    for key, value in TINY.items():
        if key in option:
            small = value.get(len(option.filters)) if key == "filters" else value
            if small is not None:
                found.append(f"{axis}.{key}={small}")
    return found


def combinations_with(axis: str, name: str) -> list[Combination]:
    """Few legal combinations in which the option meets every option of another axis that it is legal with."""
    legal, _ = combinations(f"data.facts.levels={LEVELS}", only={axis: name})
    if not legal:
        raise AssertionError(f"{axis}={name}: it is legal in no combination; `vae-lab pairs` has the reasons")
    place = AXES.index(axis)

    def of_option(combination: Combination) -> set[Pair]:
        return {pair for pair in pairs_of(combination) if place in (pair[0], pair[2])}

    return covering_set(legal, of=of_option)


def check_with_every_axis(axis: str, name: str) -> None:
    """Trains and evaluates the option in combination with every option of every other axis."""
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        for combination in combinations_with(axis, name):
            train_and_evaluate(combination, f"{axis}={name}")
    finally:
        tf.config.run_functions_eagerly(eager)


def train_and_evaluate(combination: Combination, on_trial: str = "") -> None:
    """Two steps and an evaluation: losses are finite and the networks move.

    Raises:
      AssertionError: naming `on_trial` and the combination.
    """
    choices = dict(zip(AXES, combination, strict=True))
    told = f"{on_trial}: with {' '.join(f'{axis}={name}' for axis, name in choices.items())}"
    cfg = compose.compose_unchecked(
        "data=mnist",
        f"data.facts.levels={LEVELS}",
        *(f"{axis}={name}" for axis, name in choices.items()),
        *(override for axis, name in choices.items() for override in tiny(axis, name)),
        "latent_size=2",
        "training.batch_size=50",
        "training.jit=false",
    )
    settings = settings_of(cfg)
    pixels = run_images(padded_digits(), parts.make(settings.options["binarization"]))
    try:
        built = new_program(settings, pixels)
        before = [weight.numpy() for weight in built.model.trainable_variables]
        results = list(built.trainer.train(tf.constant(pixels.train.pixels), 0, 1))
        values = built.elbo(pixels.fixed["test"], 1, 0)
        log_likelihood = built.log_likelihood(pixels.fixed["test"], 2, 0)
    except Exception as error:
        error.add_note(told)
        raise
    after = [weight.numpy() for weight in built.model.trainable_variables]
    changed = [not np.array_equal(old, new) for old, new in zip(before, after, strict=True)]
    for holds, fault in (
        (results[-1].step == 2, "two steps were not two"),
        (np.all(np.isfinite(list(results[-1].running.values()))), "a term of the loss is not finite"),
        (np.mean(changed) > 0.5, "most of the weights have not moved"),
        (np.all(np.isfinite(values["elbo"])), "its ELBO is not finite"),
        (values["posterior_mean"].shape[0] == 100, "an image was left out"),
        (np.all(np.isfinite(log_likelihood)), "its log-likelihood is not finite"),
    ):
        if not holds:
            raise AssertionError(f"{told}: {fault}")
