"""What is asked of a posterior."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.config.options import option_names
from vae_lab.errors import UsageError
from vae_lab.layers.spaces import Discrete, Layers, Reals, Sphere
from vae_lab.testing.densities import BOUND, check_density, check_support, check_top, states_of
from vae_lab.testing.prior import encoder_for, support_of
from vae_lab.testing.prior import prior as prior_of
from vae_lab.testing.trial import SEED, Trial, loops, modes, normal_draws, on_trial, scrambled
from vae_lab.testing.weights import check_saved, check_weights

LATENTS, ROWS = 3, 4


def posterior(trial: Trial, latent_size: int = LATENTS) -> Any:
    """The posterior on trial, over so many latents in all."""
    return trial.make(latent_size=latent_size - sum(trial.option.get("upper") or ()))


def features(part: Any, rows: int = ROWS, grid: tuple[int, ...] = (), size: float = 1.0) -> Any:
    """What it is made of, [rows, *grid, params_size]."""
    return normal_draws((rows, *grid, part.params_size), size)


def shapes(trial: Trial) -> None:
    """It gives a distribution with a batch of images, whose event is the latent."""
    part = posterior(trial)
    trial.require(isinstance(part.params_size, int), f"params_size is {part.params_size!r}, not a whole number")
    q = part.distribution(features(part))
    z = q.sample(7, seed=SEED)
    for what, found, expected in (
        ("batch shape", q.batch_shape_tensor(), (ROWS,)),
        ("event shape", q.event_shape_tensor(), (LATENTS,)),
        ("the shape of 7 samples", z.shape, (7, ROWS, LATENTS)),
        ("the shape of their log_prob", q.log_prob(z).shape, (7, ROWS)),
        ("the shape of mean()", q.mean().shape, (ROWS, LATENTS)),
    ):
        found = tuple(map(int, found))
        trial.require(found == expected, f"{what} is {found}, not {expected}")


def weights(trial: Trial) -> None:
    """Every weight and every feature gets a gradient."""
    part = posterior(trial)
    rows = features(part)

    def loss(part: Any) -> Any:
        q = part.distribution(rows)
        z = q.sample(4, seed=SEED)
        return q.log_prob(z) + tf.reduce_sum(z**4, axis=-1)

    check_weights(trial, part, loss)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        total = tf.reduce_sum(loss(part))
    gradient = tape.gradient(total, rows)
    trial.require(
        gradient is not None and np.all(gradient.numpy() != 0),
        "a feature gets no gradient: params_size is too large",
    )


def stop_gradient(trial: Trial) -> None:
    """With stop_gradient its log_prob passes gradient to z alone, and the same one."""
    part = scrambled(posterior(trial))
    rows = features(part)
    z = part.distribution(rows).sample(2, seed=SEED)

    def gradients(stopped: bool) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([z, rows])
            log_q = part.distribution(rows, stopped).log_prob(z)
        return tape.gradient(log_q, [z, rows, *part.trainable_variables])

    stopped, free = gradients(True), gradients(False)
    trial.require(stopped[0] is not None, "with stop_gradient its log_prob passes no gradient to z")
    trial.agree(stopped[0], free[0], "with stop_gradient its log_prob has another gradient by z")
    trial.require(np.all(stopped[0].numpy() != 0), "its log_prob does not depend on every latent")
    reached = [one is not None for one in stopped[1:]]
    trial.require(not any(reached), "with stop_gradient its log_prob still passes gradient to features or weights")
    trial.require(
        all(one is not None and np.any(one.numpy() != 0) for one in free[1:]),
        "its log_prob passes no gradient to a feature or a weight",
    )


def own_and_same_values(trial: Trial) -> None:
    """log_prob at its own samples is that at the same values, eagerly, as a graph and under XLA."""
    part = scrambled(posterior(trial))
    rows = features(part)

    def own(rows: Any) -> Any:
        q = part.distribution(rows)
        z = q.sample(3, seed=SEED)
        return z, q.log_prob(z)

    values = modes(lambda rows, z: part.distribution(rows).log_prob(z))
    for how, function in modes(own).items():
        z, at_own = function(rows)
        trial.require(z.shape == (3, ROWS, LATENTS) and at_own.shape == (3, ROWS), f"shapes {how} are others")
        at_values = values[how](rows, tf.constant(z.numpy()))
        trial.agree(at_values, at_own, f"log_prob {how} is another one at its own samples than at the same values")


def no_batch(trial: Trial) -> None:
    """What it says of an image does not depend on the others of its batch."""
    part = scrambled(posterior(trial))
    rows = features(part)
    q = part.distribution(rows)
    z = q.sample(seed=SEED)
    together = q.log_prob(tf.identity(z))
    alone = [part.distribution(rows[i : i + 1]).log_prob(z[i : i + 1])[0] for i in range(ROWS)]
    trial.agree(together, alone, "log_prob of an image depends on the others of its batch")


def density(trial: Trial) -> None:
    """Samples lie in the stated space and agree with log_prob."""
    support, categories = support_of(trial)
    latents = 2 if support == "reals" else LATENTS
    part = scrambled(posterior(trial, latents), 0.3)
    q = part.distribution(features(part, 1, size=0.5))
    check_density(trial, tfp.distributions.BatchReshape(q, []), support, categories)
    space = getattr(part, "space", Reals())
    kinds = {"sphere": Sphere, "bits": Discrete, "categories": Discrete, "layers": Layers}
    kind = kinds.get(trial.fact("support"), Reals)
    trial.require(type(space) is kind, f"{trial.states('support')}, and its attribute space is {type(space).__name__}")


def reparameterized(trial: Trial) -> None:
    """Its draws are differentiable by the features, unless its YAML states reparameterized: false."""
    part = posterior(trial)
    rows = features(part)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        z = part.distribution(rows).sample(4, seed=SEED)
    found = tape.gradient(z, rows) is not None
    trial.require(
        found == trial.fact("reparameterized", True),
        "its draws pass no gradient to the features; state reparameterized: false"
        if not found
        else "its YAML states reparameterized: false, and its draws are differentiable",
    )


def relaxed(trial: Trial) -> None:
    """Where a relaxation is stated, its nearest states are draws from q(z|x), and it is near to them."""
    if not trial.fact("relaxed"):
        return
    part = posterior(trial)
    trial.require(hasattr(part, "relaxed_distribution"), "its YAML states relaxed, and it has no relaxed_distribution")
    rows = features(part, 1)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        y = part.relaxed_distribution(rows, tf.constant(0.01)).sample(20_000, seed=SEED)
    trial.require(y.shape == (20_000, 1, LATENTS), f"20000 relaxed draws have shape {y.shape}")
    trial.require(tape.gradient(y, rows) is not None, "relaxed draws pass no gradient to the features")
    z = part.space.nearest(y)
    # At t = 0.01 a logistic draw is further than that from 0 and 1 with a chance of some per cent.
    trial.require(float(np.mean(np.abs(z - y))) < 0.05, "relaxed draws at temperature 0.01 are not near to a state")
    support, categories = support_of(trial)
    states = states_of(support, LATENTS, categories)
    probability = np.exp(part.distribution(rows).log_prob(states[:, np.newaxis]).numpy().astype(float))[:, 0]
    share = np.mean(np.all(np.asarray(z) == states, axis=-1), axis=0)
    error = np.sqrt(probability * (1 - probability) / len(z))
    trial.require(
        np.all(np.abs(share - probability) <= BOUND * error + 1e-6), "relaxed draws' nearest states are not of q(z|x)"
    )


def fast_log_prob(trial: Trial) -> None:
    """Its density at latents from elsewhere loops over them unless stated fast; that of its own draws never."""
    part = posterior(trial)
    rows, z = features(part), tf.zeros((5, ROWS, LATENTS))

    def at_own_samples(rows: Any) -> Any:
        q = part.distribution(rows)
        return q.log_prob(q.sample(5, seed=SEED))

    fast = not loops(lambda rows, z: part.distribution(rows).log_prob(z), rows, z)
    trial.require(
        fast == bool(trial.fact("fast_log_prob")),
        f"{trial.states('fast_log_prob')}, and its log_prob at latents that it did not draw "
        f"{'has no loop' if fast else 'has a loop'}",
    )
    trial.require(not loops(at_own_samples, rows), "its log_prob at its own samples has a loop")


def top_given_image(trial: Trial) -> None:
    """It gives the distribution of its top layer by itself if its YAML says so, and that is the one it draws from."""
    part = scrambled(posterior(trial), 0.3)
    check_top(trial, part.distribution(features(part, 1)))


def flat_latent(trial: Trial) -> None:
    """It takes features on a grid, or states flat_latent and refuses them."""
    part = posterior(trial)
    rows = features(part, grid=(2, 5))
    if trial.fact("flat_latent"):
        try:
            part.distribution(rows)
        except UsageError as error:
            told = f"{trial.called} needs a flat latent"
            trial.require(told in str(error), f"it must refuse a grid of features with {told!r}")
            return
        trial.require(False, "its YAML states flat_latent, and it takes a grid of features (layers.flat_latent)")
    q = part.distribution(rows)
    found = tuple(tuple(map(int, shape)) for shape in (q.batch_shape_tensor(), q.event_shape_tensor()))
    expected = ((ROWS,), (2, 5, LATENTS))
    trial.require(found == expected, f"of features on a grid (2, 5) batch and event are {found}, not {expected}")


def closed_form_kl(trial: Trial) -> None:
    """The KL has a closed form with the priors that its YAML states, and that is the mean over samples."""
    part = posterior(trial)
    stated = trial.fact("closed_form_kl_with") or []
    unknown = sorted(set(stated) - set(option_names("prior")))
    trial.require(not unknown, f"its YAML states closed_form_kl_with: {unknown}, which is no prior")
    for name in option_names("prior"):
        with_prior(trial, part, name, name in stated)


def with_prior(trial: Trial, part: Any, name: str, stated: bool) -> None:
    """KL(q, p) of one prior, by formula and by samples."""
    other = on_trial("prior", name)
    q, p = part.distribution(features(part)), prior_of(other).distribution(encoder_for(other))
    try:
        kl = tfp.distributions.kl_divergence(q, p)
    except NotImplementedError:
        trial.require(not stated, f"its YAML states closed_form_kl_with: {name}, and there is no such closed form")
        return
    trial.require(stated, f"its YAML does not state closed_form_kl_with: {name}, and there is a closed form")
    trial.require(kl.shape == (ROWS,), f"KL with prior={name} has shape {kl.shape}, not {(ROWS,)}")
    z = q.sample(4000, seed=SEED)
    draws = (q.log_prob(z) - p.log_prob(z)).numpy().astype(float)
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    trial.require(
        np.all(np.abs(draws.mean(axis=0) - kl) <= BOUND * error + 1e-5),
        f"KL with prior={name} in closed form, {kl.numpy()}, is not the mean over samples, {draws.mean(axis=0)}",
    )


def far_features(trial: Trial) -> None:
    """Features of a hundred give finite numbers and gradients, under XLA too."""
    part = posterior(trial, 6)
    rows = tf.constant(np.random.default_rng(0).choice([-100.0, 100.0], (8, part.params_size)), tf.float32)

    def numbers(rows: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(rows)
            q = part.distribution(rows)
            z = q.sample(4, seed=SEED)
            log_q = q.log_prob(z)
        return z, log_q, q.mean(), *tape.gradient(log_q, [rows, *part.trainable_variables])

    of_weights = [f"the gradient by {weight.name!r}" for weight in part.trainable_variables]
    called = ("a sample", "log_prob", "the mean", "the gradient by features", *of_weights)
    for how, function in modes(numbers).items():
        for what, number in zip(called, function(rows), strict=True):
            trial.require(np.all(np.isfinite(number)), f"{what} {how} at features of -100 and 100 is not finite")


def support(trial: Trial) -> None:
    """Draws at weights and features far from where they start still lie in the stated space."""
    part = scrambled(posterior(trial))
    check_support(trial, part.distribution(features(part, size=5.0)).sample(50, seed=SEED), *support_of(trial))


def saved(trial: Trial) -> None:
    """Its weights can be saved and loaded."""
    part = scrambled(posterior(trial), 0.3)
    rows = features(part)
    z = part.distribution(rows).sample(seed=SEED).numpy()
    check_saved(trial, part, posterior(trial), lambda part: part.distribution(rows).log_prob(tf.constant(z)))


CHECKS = (
    shapes,
    weights,
    stop_gradient,
    density,
    support,
    own_and_same_values,
    no_batch,
    reparameterized,
    relaxed,
    fast_log_prob,
    top_given_image,
    flat_latent,
    closed_form_kl,
    far_features,
    saved,
)
