"""What is asked of an estimator: on a model whose ELBO and log p(x) are known."""

from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.config import compose, parts
from vae_lab.config.settings import settings_of
from vae_lab.protocols import Terms
from vae_lab.testing.densities import BOUND
from vae_lab.testing.trial import SEED, Trial, loops, modes, scrambled

IMAGE_SHAPE = (1, 6, 1)
ROWS, DRAWS = 5, 400
LINEAR = ("data=mnist", "encoder=linear", "decoder=linear", "latent_size=1")
GAUSSIAN = (*LINEAR, "likelihood=normal", "binarization=none")
BITS = (*LINEAR, "posterior=bernoulli", "prior=bernoulli")


def estimator(trial: Trial, **settings: Any) -> Any:
    """The estimator on trial, of few samples and at least as many as it needs."""
    few = {"samples": max(2, trial.fact("least_samples", 1)), "groups": 2}
    return trial.make({**few, **settings})


def model_of(*overrides: str) -> Any:
    """A model with weights far from where they start."""
    settings = settings_of(compose.compose_unchecked(*overrides))
    return scrambled(parts.make_model(settings, IMAGE_SHAPE, 2), 0.3)


def model_for(trial: Trial) -> Any:
    """A model that the estimator is legal with."""
    return model_of(*(BITS if trial.fact("needs_relaxed") else GAUSSIAN))


def images() -> Any:
    """Fixed binary images."""
    return tf.constant(np.random.default_rng(1).integers(0, 2, size=(ROWS, *IMAGE_SHAPE)), tf.float32)


def make_exact(model: Any, x: Any, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Puts the encoder to the exact posterior of a linear Gaussian model, its mean off by `shift`.

    Returns:
      float64 [B] by name: rate, distortion, and log_likelihood, which is minus their sum where shift is 0.
    """
    kernel, bias = (weight.numpy().astype(float) for weight in model.decoder.weights)
    size = kernel.shape[1]
    precision = 1 + kernel[0] @ kernel[0]
    floor = 1e-5
    raw = np.log(np.expm1(precision**-0.5 - floor))
    to_loc = kernel[0] / precision
    model.encoder.set_weights([np.stack([to_loc, 0 * to_loc], axis=1), np.array([shift - bias @ to_loc, raw])])
    residual = x.numpy().reshape(len(x), -1).astype(float) - bias
    loc, variance = residual @ to_loc + shift, 1 / precision
    rate = 0.5 * (variance + loc**2 - 1 - np.log(variance))
    squared = np.sum((residual - loc[:, np.newaxis] * kernel[0]) ** 2, axis=1) + variance * (kernel[0] @ kernel[0])
    distortion = 0.5 * squared + size / 2 * np.log(2 * np.pi)
    # A mean that is off by `shift` costs shift^2 / (2 variance) of the bound.
    return {"rate": rate, "distortion": distortion, "log_likelihood": shift**2 * precision / 2 - rate - distortion}


def drawn(estimator: Any, model: Any, x: Any, count: int = DRAWS, how: str = "as a graph") -> dict[str, np.ndarray]:
    """`count` independent draws of the terms, each [count, B]."""

    def estimates() -> Any:
        return tf.map_fn(
            lambda number: tf.stack(estimator(model, x, tf.stack([number, 1]))),
            tf.range(count),
            fn_output_signature=tf.float32,
        )

    found = modes(estimates)[how]().numpy().astype(float)
    return {name: found[:, index] for index, name in enumerate(Terms._fields)}


def error_of(values: np.ndarray) -> np.ndarray:
    """The standard error of a mean over draws, and what float32 loses."""
    return values.std(axis=0, ddof=1) / np.sqrt(len(values)) + 1e-5


def shapes(trial: Trial) -> None:
    """It gives five terms an image, finite, and the ELBO is minus rate and distortion."""
    made = estimator(trial)
    trial.require(
        (made.samples, made.groups) == (2, 2), "its attributes samples and groups must be those it is made with"
    )
    terms = made(model_for(trial), images(), tf.constant(SEED))
    trial.require(isinstance(terms, Terms), f"it gives {type(terms).__name__}, not vae_lab.protocols.Terms")
    for name, term in terms._asdict().items():
        trial.require(
            tuple(term.shape) == (ROWS,), f"{name} has shape {tuple(term.shape)}, not {(ROWS,)}: one an image"
        )
        trial.require(np.all(np.isfinite(term)), f"{name} is not finite")
    trial.agree(terms.elbo, -(terms.rate + terms.distortion), "elbo is not -(rate + distortion)", 1e-6, 1e-6)


def unbiased(trial: Trial) -> None:
    """Rate and distortion are those of a linear Gaussian model, and the bound is at most its log p(x)."""
    if trial.fact("needs_relaxed"):
        return
    model, x = model_for(trial), images()
    exact = make_exact(model, x, shift=0.4)
    found = drawn(estimator(trial), model, x)
    for name in ("rate", "distortion"):
        trial.require(
            np.all(np.abs(found[name].mean(axis=0) - exact[name]) <= BOUND * error_of(found[name])),
            f"{name} of a linear Gaussian model is {found[name].mean():.4g} nats, not {exact[name].mean():.4g}",
        )
    above = found["bound"].mean(axis=0) - exact["log_likelihood"] - BOUND * error_of(found["bound"])
    trial.require(np.all(above <= 0), f"bound is {above.max():.3g} nats above log p(x) of a linear Gaussian model")


def tight(trial: Trial) -> None:
    """At the exact posterior its bound is log p(x), eagerly, as a graph and under XLA."""
    if trial.fact("needs_relaxed"):
        return
    model, x = model_for(trial), images()
    exact = make_exact(model, x)["log_likelihood"]
    for how, count in (("eagerly", 30), ("as a graph", DRAWS), ("under XLA", DRAWS)):
        bound = drawn(estimator(trial), model, x, count, how)["bound"]
        trial.require(
            np.all(np.abs(bound.mean(axis=0) - exact) <= BOUND * error_of(bound) + 1e-4),
            f"bound at the exact posterior {how} is {bound.mean():.5g}, and log p(x) {exact.mean():.5g}",
        )


def gradients(trial: Trial) -> None:
    """The loss passes a gradient to every weight of the model, the same as a graph, and a finite one under XLA."""
    kinds = {"its model": model_for(trial)}
    if not trial.fact("needs_reparameterized", True):
        kinds["discrete latents"] = model_of(*BITS)
    x, made = images(), estimator(trial)
    for what, model in kinds.items():

        def of_loss(x: Any, model: Any = model) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(made(model, x, tf.constant(SEED)).loss)
            return tape.gradient(loss, model.trainable_variables)

        expected = of_loss(x)
        for weight, gradient in zip(model.trainable_variables, expected, strict=True):
            trial.require(
                gradient is not None and np.any(gradient.numpy() != 0),
                f"its loss passes no gradient to {weight.path} of a model with {what}",
            )
        for how, function in modes(of_loss).items():
            for weight, gradient, one in zip(model.trainable_variables, expected, function(x), strict=True):
                trial.require(np.all(np.isfinite(one)), f"the gradient of {weight.path} {how} is not finite")
                if how != "under XLA":  # whose draws are others
                    trial.agree(one, gradient, f"the gradient of {weight.path} {how} is another one", 1e-3, 1e-5)


def weighs_rate(trial: Trial) -> None:
    """beta and warm-up change its loss if its YAML states weighs_rate, and no other term."""
    model, x = model_for(trial), images()
    plain = estimator(trial)(model, x, tf.constant(SEED))
    for changed, epoch in (({"beta": 4.0}, None), ({"warmup_epochs": 8}, tf.constant(2.0))):
        other = estimator(trial, **changed)(model, x, tf.constant(SEED), epoch)
        for name in Terms._fields[1:]:
            same = np.array_equal(getattr(other, name), getattr(plain, name))
            trial.require(same, f"{next(iter(changed))} changes {name}; it may change the loss alone")
        changes = next(iter(changed))
        moved = not np.allclose(other.loss, plain.loss, rtol=1e-6)
        trial.require(
            moved == bool(trial.fact("weighs_rate")),
            f"{trial.states('weighs_rate')}, and {changes} {'changes' if moved else 'does not change'} its loss",
        )


def needs_closed_form_kl(trial: Trial) -> None:
    """It works without a closed form of the KL unless its YAML states that it needs one."""
    if trial.fact("needs_relaxed"):
        return
    model = model_of(*GAUSSIAN, "prior=mixture", "prior.components=2")
    try:
        estimator(trial)(model, images(), tf.constant(SEED))
        needs = False
    except NotImplementedError:
        needs = True
    trial.require(
        needs == bool(trial.fact("needs_closed_form_kl")),
        f"{trial.states('needs_closed_form_kl')}, and with prior=mixture it {'fails' if needs else 'works'}",
    )


def needs_fast_log_prob(trial: Trial) -> None:
    """It asks for the posterior's density at latents it did not draw if its YAML says so, and else not."""
    if trial.fact("needs_relaxed") or trial.fact("needs_closed_form_kl"):
        return

    def slow(*posterior: str) -> bool:
        model, made = model_of(*GAUSSIAN, *posterior), estimator(trial)
        return loops(lambda x: made(model, x, tf.constant(SEED)).loss, images())

    needs = slow("posterior=iaf", "posterior.hidden=[4]", "posterior.context=2") and not slow()
    trial.require(
        needs == bool(trial.fact("needs_fast_log_prob")),
        f"{trial.states('needs_fast_log_prob')}, and with posterior=iaf its graph has {'a' if needs else 'no'} loop",
    )


CHECKS = (shapes, unbiased, tight, gradients, weighs_rate, needs_closed_form_kl, needs_fast_log_prob)
