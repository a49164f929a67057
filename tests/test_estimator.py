"""The terms of the ELBO, against hand formulas and exactly solvable models."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.binarization import intensities
from vae_lab.config import compose, parts

tfd = tfp.distributions


def batch(pixels, rows=12):
    return intensities(pixels.fixed["test"].pixels[:rows], pixels.fixed["test"].levels)


def estimate(program, *overrides, seed=7, rows=12):
    cfg, pixels, built = program("training.jit=false", *overrides)
    x = batch(pixels, rows)
    return built.model, x, parts.make(cfg.options["estimator"])(built.model, x, tf.constant([0, seed]))


def test_analytic_kl_rate_equals_hand_formula(program):
    model, x, terms = estimate(program)
    q = model.encode(x)
    loc, scale = q.mean().numpy().astype(float), q.stddev().numpy().astype(float)
    by_hand = 0.5 * np.sum(scale**2 + loc**2 - 1 - 2 * np.log(scale), axis=1)
    np.testing.assert_allclose(terms.rate, by_hand, rtol=1e-5)


def test_distortion_is_the_sum_of_cross_entropies_over_pixels(program):
    model, x, terms = estimate(program)
    z = model.encode(x).sample(1, seed=tf.constant([0, 7]))[0]
    logits = model.decoder(z).numpy().astype(float)
    by_hand = np.sum(np.logaddexp(0, logits) - x.numpy() * logits, axis=(1, 2, 3))
    np.testing.assert_allclose(terms.distortion, by_hand, rtol=1e-5)


def test_monte_carlo_terms_by_hand(program):
    model, x, terms = estimate(program, "estimator=monte_carlo", "estimator.samples=2")
    q = model.encode(x)
    z = q.sample(2, seed=tf.constant([0, 7])).numpy().astype(float)
    loc, scale = q.mean().numpy().astype(float), q.stddev().numpy().astype(float)
    log_q = np.sum(-0.5 * ((z - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi), axis=-1)
    log_p = np.sum(-0.5 * z**2 - 0.5 * np.log(2 * np.pi), axis=-1)
    np.testing.assert_allclose(terms.rate, np.mean(log_q - log_p, axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("estimator", ["analytic_kl", "monte_carlo"])
def test_elbo_is_minus_rate_plus_distortion_and_beta_weighs_the_loss_alone(program, estimator):
    _, _, plain = estimate(program, f"estimator={estimator}")
    _, _, weighted = estimate(program, f"estimator={estimator}", "estimator.beta=4")
    np.testing.assert_array_equal(plain.elbo, -(plain.rate + plain.distortion))
    np.testing.assert_array_equal(plain.loss, -plain.elbo)
    np.testing.assert_array_equal(weighted.elbo, plain.elbo)
    np.testing.assert_array_equal(weighted.bound, plain.elbo)
    np.testing.assert_allclose(weighted.loss, plain.distortion + 4 * plain.rate, rtol=1e-6)


@pytest.mark.parametrize("estimator", ["analytic_kl", "monte_carlo"])
def test_terms_of_an_image_do_not_depend_on_its_batch(program, estimator):
    """The rate is a sum over latents and not multiplied by the batch size."""
    model, x, terms = estimate(program, f"estimator={estimator}", rows=12)
    assert [term.shape for term in terms] == [(12,)] * 5
    if estimator == "analytic_kl":
        np.testing.assert_allclose(terms.rate[:3], tfd.kl_divergence(model.encode(x[:3]), model.latent_prior()), 1e-5)


def test_elbo_equals_log_likelihood_for_every_sample_at_the_exact_posterior(program):
    """Linear decoder, unit Gaussian likelihood, one latent: p(z|x) is a Gaussian that mvn_diag can be."""
    _, pixels, built = program(
        "likelihood=normal", "binarization=none", "decoder.hidden=[]", "latent_size=1", "training.jit=false"
    )
    model, x = built.model, batch(pixels, 5)
    kernel, bias = (weight.numpy().astype(float) for weight in model.decoder.weights)
    residual = x.numpy().reshape(5, -1) - bias
    precision = 1 + kernel[0] @ kernel[0]
    loc = residual @ kernel[0] / precision
    covariance = np.eye(64) + np.outer(kernel[0], kernel[0])
    log_likelihood = -0.5 * (
        np.einsum("ni,ij,nj->n", residual, np.linalg.inv(covariance), residual)
        + np.linalg.slogdet(covariance)[1]
        + 64 * np.log(2 * np.pi)
    )
    q = tfd.MultivariateNormalDiag(
        tf.constant(loc[:, None], tf.float32), tf.fill([5, 1], tf.constant(precision**-0.5, tf.float32))
    )
    z = q.sample(50, seed=tf.constant([3, 4]))
    bound = model.decode(z).log_prob(x) + model.latent_prior().log_prob(z) - q.log_prob(z)
    np.testing.assert_allclose(bound, np.broadcast_to(log_likelihood, (50, 5)), rtol=2e-5)


def test_gradient_reaches_every_weight(program):
    for overrides in (
        ("estimator=monte_carlo", "prior=mixture"),
        ("likelihood=normal", "likelihood.scale=shared", "binarization=none"),
        ("likelihood=normal", "likelihood.scale=per_pixel", "binarization=none"),
    ):
        cfg, pixels, built = program("training.jit=false", *overrides)
        estimator = parts.make(cfg.options["estimator"])
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(estimator(built.model, batch(pixels), tf.constant([0, 1])).loss)
        weights = built.model.trainable_variables
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            assert gradient is not None, weight.path
            assert np.any(gradient.numpy() != 0), weight.path


@pytest.mark.parametrize(
    "estimator",
    [
        "importance_weighted",
        "multiply_importance_weighted",
        "sticking_the_landing",
        "doubly_reparameterized",
        "renyi",
        "combination_importance_weighted",
        "partially_importance_weighted",
    ],
)
@pytest.mark.parametrize("prior", ["mvn", "mixture"])
def test_importance_weighting_with_one_sample_is_the_monte_carlo_elbo(program, estimator, prior):
    """With the same noise, every term of it."""
    one = ("estimator.samples=1", "estimator.groups=1", f"prior={prior}")
    _, _, plain = estimate(program, "estimator=monte_carlo", *one)
    _, _, weighted = estimate(program, f"estimator={estimator}", *one)
    for name in ("loss", "distortion", "elbo", "bound"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(plain, name), rtol=1e-6, err_msg=name)
    # The rate is a small difference of log-densities of size 10, which float32 holds to 1e-6.
    np.testing.assert_allclose(weighted.rate, plain.rate, rtol=0, atol=4e-6)


@pytest.mark.parametrize("estimator", ["analytic_kl", "monte_carlo"])
def test_distortion_is_the_mean_over_all_samples(program, estimator):
    model, x, terms = estimate(program, f"estimator={estimator}", "estimator.samples=3", "estimator.groups=2")
    z = model.encode(x).sample(6, seed=tf.constant([0, 7]))
    np.testing.assert_allclose(terms.distortion, -np.mean(model.decode(z).log_prob(x), axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    "estimator", ["multiply_importance_weighted", "sticking_the_landing", "doubly_reparameterized"]
)
def test_importance_weighted_bound_by_hand(program, estimator):
    """The mean over M of log mean over K of the weights; the ELBO beside it is the mean of their logarithms."""
    model, x, terms = estimate(program, f"estimator={estimator}", "estimator.samples=3", "estimator.groups=2")
    q = model.encode(x)
    z = q.sample((2, 3), seed=tf.constant([0, 7]))
    log_weight = (model.decode(z).log_prob(x) + model.latent_prior().log_prob(z) - q.log_prob(z)).numpy().astype(float)
    by_hand = np.mean(np.logaddexp.reduce(log_weight, axis=1) - np.log(3), axis=0)
    np.testing.assert_allclose(terms.bound, by_hand, rtol=1e-5)
    np.testing.assert_allclose(terms.loss, -by_hand, rtol=1e-5)
    np.testing.assert_allclose(terms.elbo, log_weight.mean(axis=(0, 1)), rtol=1e-5)


def weight_of_the_rate(epoch, *overrides):
    estimator = parts.make(compose.compose(*overrides).estimator)
    return float(estimator.rate_weight(None if epoch is None else tf.constant(epoch)))


def test_warmup_rises_linearly_to_beta_and_is_over_in_evaluation():
    options = ("estimator.beta=2", "estimator.warmup_epochs=10")
    for epoch, weight in ((0.0, 0.0), (2.5, 0.5), (10.0, 2.0), (50.0, 2.0), (None, 2.0)):
        assert weight_of_the_rate(epoch, *options) == pytest.approx(weight)


def test_cycles_begin_the_rise_again():
    options = ("estimator.warmup_epochs=5", "estimator.cycle_epochs=10")
    for epoch, weight in ((2.5, 0.5), (7.0, 1.0), (10.0, 0.0), (12.5, 0.5), (None, 1.0)):
        assert weight_of_the_rate(epoch, *options) == pytest.approx(weight)


@pytest.mark.parametrize("estimator", ["analytic_kl", "monte_carlo"])
@pytest.mark.parametrize("excess", [-1.0, 1.0])
def test_free_bits_and_warmup_change_the_loss_alone(program, estimator, excess):
    """The batch's mean rate is free up to the limit, not each image's: a noisy rate would be charged for its noise."""
    _, _, plain = estimate(program, f"estimator={estimator}")
    free = float(np.mean(plain.rate)) - excess
    cfg, pixels, built = program(
        f"estimator={estimator}", f"estimator.free_bits={free}", "estimator.warmup_epochs=4", "training.jit=false"
    )
    terms = parts.make(cfg.options["estimator"])(built.model, batch(pixels), tf.constant([0, 7]), tf.constant(1.0))
    for name in ("rate", "distortion", "elbo", "bound"):
        np.testing.assert_array_equal(getattr(terms, name), getattr(plain, name))
    charged = max(float(np.mean(plain.rate)), free)
    np.testing.assert_allclose(terms.loss, plain.distortion + 0.25 * charged, rtol=1e-6)
