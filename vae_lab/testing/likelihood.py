"""What is asked of a likelihood."""

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.config import parts
from vae_lab.testing.densities import BOUND
from vae_lab.testing.trial import SEED, Trial, modes, normal_draws
from vae_lab.testing.weights import check_saved, check_weights

LEVELS = 5
DRAWS = 20_000
BINS = 20


def likelihood(trial: Trial, levels: int = LEVELS, **settings: Any) -> Any:
    """The likelihood on trial, of data with so many levels."""
    return trial.make(settings, **parts.extra_arguments(trial.option, levels=levels))


def values_of(trial: Trial, levels: int = LEVELS) -> np.ndarray:
    """Values that a pixel can have."""
    return np.linspace(0, 1, 2 if trial.fact("needs_binary_data") else levels).astype(np.float32)


def pixels(trial: Trial, *shape: int) -> Any:
    """Fixed images [*shape] of such values."""
    return tf.constant(np.random.default_rng(1).choice(values_of(trial), size=shape))


def parameters(part: Any, *shape: int, size: float = 1.0) -> Any:
    """What the distribution is made of, [*shape, params_size]."""
    return normal_draws((*shape, part.params_size), size)


def one_pixel(part: Any, rows: np.ndarray) -> Any:
    """[N,P] -> p(x|z) of N images of one grey pixel."""
    return part.distribution(tf.constant(rows[:, np.newaxis, np.newaxis], tf.float32))


def log_prob(distribution: Any, x: np.ndarray) -> np.ndarray:
    """Values [G] of a pixel -> float64 [G,N], under N distributions of one pixel."""
    return distribution.log_prob(tf.constant(x[:, None, None, None, None], tf.float32)).numpy().astype(float)


def shapes(trial: Trial) -> None:
    """Any leading dimensions of the parameters are the batch, and each is scored as it is alone."""
    part = likelihood(trial)
    trial.require(isinstance(part.params_size, int), f"params_size is {part.params_size!r}, not a whole number")
    x = pixels(trial, 2, 2, 1)
    for leading in ((), (4,), (3, 4), (2, 3, 4)):
        count = int(np.prod(leading, dtype=int))
        rows = parameters(part, *leading, 2, 2)
        p = part.distribution(rows)
        for what, found, expected in (
            ("batch shape", p.batch_shape, leading),
            ("event shape", p.event_shape, (2, 2, 1)),
            ("the shape of mean()", p.mean().shape, (*leading, 2, 2, 1)),
            ("the shape of 5 samples", p.sample(5, seed=SEED).shape, (5, *leading, 2, 2, 1)),
            ("the shape of log_prob", p.log_prob(x).shape, leading),
        ):
            trial.require(
                tuple(found) == expected, f"of parameters {tuple(rows.shape)} {what} is {tuple(found)}, not {expected}"
            )
        alone = [part.distribution(one).log_prob(x) for one in tf.reshape(rows, (count, 2, 2, -1))]
        trial.agree(tf.reshape(p.log_prob(x), (count,)), alone, "an image's log_prob depends on its batch", 2e-6, 2e-5)
    colour = likelihood(trial).distribution(normal_draws((4, 2, 3, 3 * part.params_size)))
    trial.require(tuple(colour.event_shape) == (2, 3, 3), f"of 3 channels event shape is {colour.event_shape}")


def weights(trial: Trial) -> None:
    """Every weight and every parameter gets a gradient."""
    part, x = likelihood(trial), pixels(trial, 4, 2, 2, 1)
    rows = parameters(part, 4, 2, 2)
    check_weights(trial, part, lambda part: part.distribution(rows).log_prob(x))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        value = part.distribution(rows).log_prob(x)
    gradient = tape.gradient(value, rows)
    trial.require(
        gradient is not None and np.all(np.any(gradient.numpy() != 0, axis=(0, 1, 2))),
        "a parameter gets no gradient: params_size is more than it reads",
    )


def density(trial: Trial) -> None:
    """log_prob of one pixel is that of its samples, with its constant."""
    part = likelihood(trial)
    row = np.linspace(0.5, -0.5, part.params_size) if part.params_size > 1 else np.array([0.4])
    p = one_pixel(part, row[np.newaxis])
    first, second = p.sample((2, DRAWS), seed=SEED).numpy().reshape(2, DRAWS).astype(float)
    if trial.fact("discrete"):
        edges, values = None, values_of(trial).astype(float)
        trial.require(
            np.all(np.isclose(second[:, np.newaxis], values, atol=1e-6).any(axis=1)), "samples are no levels of pixels"
        )
        mass = np.exp(log_prob(p, values))[:, 0]
        share = np.array([np.mean(np.isclose(second, value)) for value in values])
    else:
        edges = np.quantile(first, np.linspace(0.02, 0.98, BINS + 1))
        mass = np.array([_integral(p, low, high) for low, high in itertools.pairwise(edges)])
        share = np.histogram(second, edges)[0] / DRAWS
    error = np.sqrt(np.maximum(mass * (1 - mass), 0) / DRAWS)
    trial.require(
        np.all(np.abs(share - mass) <= BOUND * error + 1e-4),
        f"samples do not agree with log_prob: a share of {share[np.argmax(np.abs(share - mass))]:.4g} of them is where "
        f"its integral is {mass[np.argmax(np.abs(share - mass))]:.4g}",
    )


def _integral(p: Any, low: float, high: float) -> float:
    """Of the density from low to high, by Gauss's rule."""
    x, step = np.polynomial.legendre.leggauss(200)
    x = low + (high - low) * (x + 1) / 2
    return float(np.exp(log_prob(p, x))[:, 0] @ step * (high - low) / 2)


def facts(trial: Trial) -> None:
    """Its probabilities of the levels sum to 1 if its YAML states discrete; of two alone with needs_binary_data."""

    def sums_to_one(levels: int) -> bool:
        part = likelihood(trial, levels)
        rows = np.random.default_rng(0).normal(scale=0.3, size=(3, part.params_size))
        total = np.exp(log_prob(one_pixel(part, rows), np.linspace(0, 1, levels))).sum(axis=0)
        return bool(np.allclose(total, 1.0, atol=1e-5))

    of_two, of_seven = sums_to_one(2), sums_to_one(7)
    trial.require(
        of_two == bool(trial.fact("discrete")),
        f"{trial.states('discrete')}, and its probabilities of two levels {'sum' if of_two else 'do not sum'} to 1",
    )
    trial.require(
        (of_two and not of_seven) == bool(trial.fact("needs_binary_data")),
        f"{trial.states('needs_binary_data')}, and of seven levels its probabilities "
        f"{'sum' if of_seven else 'do not sum'} to 1",
    )


def far_parameters(trial: Trial) -> None:
    """Parameters of a hundred give finite numbers and gradients, under XLA too."""
    part = likelihood(trial)
    rows = itertools.product((-100.0, -1e-4, 0.0, 1e-4, 1.0, 100.0), repeat=min(part.params_size, 2))
    far = np.array([np.resize(row, part.params_size) for row in rows])[:, np.newaxis, np.newaxis]
    x = tf.constant(values_of(trial)[:, None, None, None, None], tf.float32)

    def numbers(rows: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(rows)
            value = part.distribution(rows).log_prob(x)
        return value, *tape.gradient(value, [rows, *part.trainable_variables])

    for how, function in modes(numbers).items():
        for number in function(tf.constant(far, tf.float32)):
            trial.require(
                np.all(np.isfinite(number)), f"log_prob or its gradient {how} at parameters up to 100 is not finite"
            )


def initial_parameters(trial: Trial) -> None:
    """The parameters that a decoder starts from have the mean asked for, or there are none."""
    if "output_bias" not in trial.option:
        return
    mean = np.random.default_rng(0).uniform(0.02, 0.98, size=(4, 5, 3))
    part = likelihood(trial, output_bias="train_mean")
    for asked in (mean, mean.mean(axis=(0, 1), keepdims=True)):
        found = part.initial_parameters(asked)
        expected = (*asked.shape[:-1], 3 * part.params_size)
        trial.require(found is not None and found.shape == expected, f"initial_parameters must be of shape {expected}")
        found = part.distribution(tf.constant(found, tf.float32)).mean()
        trial.agree(found, asked, "initial_parameters have not the mean asked for", 0, 2e-6)
    ends = part.initial_parameters(np.array([[[0.0, 1.0, 0.5]]]))
    trial.require(np.all(np.isfinite(ends)), "initial_parameters of a black or a white pixel are not finite")
    none = likelihood(trial, output_bias=None).initial_parameters(mean)
    trial.require(none is None, "initial_parameters must be None where output_bias is null")


def saved(trial: Trial) -> None:
    """Its weights can be saved and loaded."""
    part, other, x = likelihood(trial), likelihood(trial), pixels(trial, 4, 2, 2, 1)
    rows = parameters(part, 4, 2, 2)
    for weight in part.weights:
        weight.assign(weight.value + 0.3)
    check_saved(trial, part, other, lambda part: part.distribution(rows).log_prob(x))


CHECKS = (shapes, weights, density, facts, far_parameters, initial_parameters, saved)
