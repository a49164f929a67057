"""A distribution's density against its own sampler, over each of the spaces that latents lie in."""

import itertools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.testing.trial import SEED, Trial, normal_draws

DRAWS = 20_000
# Standard errors that an exact sampler stays within: some hundred comparisons of a fixed seed.
BOUND = 4.5
DISCRETE = ("bits", "categories")


def states_of(support: str, latents: int, categories: int) -> np.ndarray:
    """Every discrete latent, [n, latents]."""
    states = np.array([[0.0], [1.0]]) if support == "bits" else np.eye(categories)
    groups = latents // states.shape[1]
    return np.stack([np.concatenate(each) for each in itertools.product(states, repeat=groups)]).astype(np.float32)


def points_of(support: str, shape: tuple[int, ...], categories: int) -> Any:
    """Fixed latents [*shape] of a space."""
    z = normal_draws(shape, seed=9)
    if support == "sphere":
        return tf.math.l2_normalize(z, axis=-1)
    if support in DISCRETE:
        states = states_of(support, shape[-1], categories)
        rows = np.random.default_rng(9).integers(len(states), size=shape[:-1])
        return tf.constant(states[rows])
    return z


def check_support(trial: Trial, z: Any, support: str, categories: int) -> None:
    """Draws [..., latents] lie in the space that is stated."""
    z = np.asarray(z)
    trial.require(np.all(np.isfinite(z)), "draws are not finite")
    if support == "sphere":
        trial.agree(np.linalg.norm(z, axis=-1), np.ones(z.shape[:-1]), "draws have not the length 1 of support: sphere")
    if support in DISCRETE:
        groups = z.reshape(-1, 1 if support == "bits" else categories)
        right = np.isin(z, (0.0, 1.0)).all() and (support == "bits" or np.all(groups.sum(axis=-1) == 1))
        trial.require(right, f"draws are not of support: {support}")


def check_density(trial: Trial, distribution: Any, support: str, categories: int) -> None:
    """The log_prob of a distribution [latents] without a batch is that of its samples, with its constant."""
    z = distribution.sample(DRAWS, seed=SEED)
    check_support(trial, z, support, categories)
    if support == "sphere":
        _on_sphere(trial, distribution, z)
    elif support in DISCRETE:
        _by_states(trial, distribution, z, states_of(support, z.shape[-1], categories))
    else:
        _by_ratio(trial, distribution, z)


def check_top(trial: Trial, distribution: Any) -> None:
    """A distribution [latents] of batch [1] has top() where top_given_image is stated, that of its last latents."""
    try:
        top = distribution.top()
    except (AttributeError, NotImplementedError):
        top = None
    trial.require(
        (top is not None) == bool(trial.fact("top_given_image")),
        f"{trial.states('top_given_image')}, and its distribution has {'no' if top is None else 'a'} top()",
    )
    if top is not None:
        z = distribution.sample(DRAWS, seed=SEED)[..., -int(top.event_shape[0]) :]
        _by_ratio(trial, top, z)


def _by_ratio(trial: Trial, distribution: Any, z: Any) -> None:
    """E_p[r(z) / p(z)] is 1 for a density r that is narrower than p."""
    loc, scale = z.numpy().mean(axis=0), 0.3 * z.numpy().std(axis=0)
    narrow = np.sum(-0.5 * ((z - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi), axis=-1)
    _is_one(trial, np.exp(narrow - distribution.log_prob(z).numpy().astype(float)))


def _by_states(trial: Trial, distribution: Any, z: Any, states: np.ndarray) -> None:
    probability = np.exp(distribution.log_prob(states).numpy().astype(float))
    trial.agree(probability.sum(), 1.0, "its probabilities of all states do not sum to 1")
    share = np.mean(np.all(np.asarray(z)[:, np.newaxis] == states, axis=-1), axis=0)
    error = np.sqrt(probability * (1 - probability) / DRAWS)
    trial.require(
        np.all(np.abs(share - probability) <= BOUND * error + 1e-6),
        f"samples do not agree with log_prob: largest difference of a state's probability "
        f"{np.abs(share - probability).max():.3g}",
    )


def _on_sphere(trial: Trial, distribution: Any, z: Any) -> None:
    """By uniform points: the density integrates to 1, and has the samples' mean."""
    size = z.shape[-1]
    area = 2 * math.pi ** (size / 2) / math.gamma(size / 2)
    points = tf.math.l2_normalize(normal_draws((DRAWS, size), seed=2), axis=-1)
    ratio = np.exp(distribution.log_prob(points).numpy().astype(float)) * area
    _is_one(trial, ratio)
    weighted, drawn = ratio[:, np.newaxis] * points.numpy(), z.numpy()
    error = np.sqrt((weighted.var(axis=0) + drawn.var(axis=0)) / DRAWS)
    trial.require(
        np.all(np.abs(weighted.mean(axis=0) - drawn.mean(axis=0)) <= BOUND * error),
        "samples do not agree with log_prob: the two have different means",
    )


def _is_one(trial: Trial, ratio: np.ndarray) -> None:
    error = ratio.std(ddof=1) / math.sqrt(len(ratio))
    trial.require(
        abs(ratio.mean() - 1) <= BOUND * error + 1e-4,
        f"samples do not agree with log_prob: E[r / p] is {ratio.mean():.4g} ± {error:.2g} for a density r, not 1",
    )
