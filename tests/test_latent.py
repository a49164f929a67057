"""What the rate is made of: exact values, limits and identities."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from vae_lab.data.images import Images
from vae_lab.evaluation import aggregate
from vae_lab.evaluation.aggregate import AggregateEvaluator, spread_rows
from vae_lab.evaluation.latent import active_units, marginal_kl, marginals
from vae_lab.evaluation.metrics import latent_metrics

tfd = tfp.distributions

LINEAR = ("encoder=linear", "training.jit=false")


SPATIAL = (
    "encoder=conv_spatial",
    "encoder.filters=[4]",
    "encoder.kernels=[3,3]",
    "encoder.strides=[1,2]",
    "encoder.paddings=[same,same]",
    "decoder=conv_spatial",
    "decoder.filters=[4]",
    "decoder.kernels=[3,3]",
    "decoder.strides=[2,1]",
    "decoder.paddings=[same,same]",
    "decoder.kinds=[transposed,conv]",
    "training.jit=false",
)


def set_encoder(model, loc, scale):
    """q(z|x) = N(x . kernel + bias, scale^2): `loc` is (kernel, bias), over the flattened image."""
    latents = model.latent_shape[0]
    kernel, bias = model.encoder.weights
    kernel.assign(np.concatenate([loc[0], np.zeros((kernel.shape[0], latents))], axis=1))
    bias.assign(np.concatenate([loc[1], np.full(latents, np.log(np.expm1(scale - model.posterior.scale_floor)))]))


def test_active_units_counts_variances_above_a_hundredth():
    means = np.random.default_rng(0).normal(size=(5000, 4)) * [1.0, 0.11, 0.09, 0.0]
    assert active_units(means) == 2


def test_marginals_of_a_full_gaussian_and_of_a_mixture_of_them():
    rng = np.random.default_rng(0)
    loc, factor = rng.normal(size=(3, 2)), np.tril(rng.normal(size=(3, 2, 2)))
    factor[:, [0, 1], [0, 1]] = np.abs(factor[:, [0, 1], [0, 1]])
    weights, at = np.array([0.2, 0.5, 0.3]), np.array([0.3, -1.2])
    components = tfd.MultivariateNormalTriL(loc, factor)
    scales = np.sqrt((factor**2).sum(axis=-1))
    np.testing.assert_allclose(marginals(components).log_prob(at), stats.norm.logpdf(at, loc, scales), rtol=1e-10)
    mixture = tfd.MixtureSameFamily(tfd.Categorical(probs=weights), components)
    by_hand = np.log(weights @ stats.norm.pdf(at, loc, scales))
    np.testing.assert_allclose(marginals(mixture).log_prob(at), by_hand, rtol=1e-10)


def test_a_flow_has_no_known_marginals(program):
    _, _, built = program("prior=flow", "estimator=monte_carlo", "training.jit=false")
    assert marginals(built.model.latent_prior()) is None
    q = tfd.MultivariateNormalDiag(tf.zeros((4, 3)))
    assert marginal_kl(q, built.model.latent_prior(), q.sample(seed=(0, 1))) is None


def test_marginal_kl_is_the_hand_formula_and_sums_to_the_rate(program):
    _, pixels, built = program("training.jit=false")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    found = AggregateEvaluator(built.model, images.shape[1:])(Images(images, levels), 0, False)
    assert set(found) == {"marginal_kl"}
    q = built.model.encode(images.astype(np.float32))
    loc, scale = q.mean().numpy().astype(float), q.stddev().numpy().astype(float)
    by_hand = 0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale)).mean(axis=0)
    np.testing.assert_allclose(found["marginal_kl"], by_hand, rtol=1e-5)
    assert found["marginal_kl"].sum() == pytest.approx(
        built.elbo(Images(images, levels), 1, 0)["rate"].mean(), rel=1e-6
    )


def test_sampled_marginal_kl_meets_the_closed_form():
    """A mixture of one standard Gaussian has no closed form, and the same KL, within four standard errors."""
    q = tfd.MultivariateNormalDiag(tf.constant([[0.5, -1.0]] * 20_000), [0.3, 2.0])
    standard = tfd.MultivariateNormalDiag(tf.zeros((1, 2)))
    mixture = tfd.MixtureSameFamily(tfd.Categorical(logits=[0.0]), standard)
    z = q.sample(seed=(0, 1))
    exact = marginal_kl(q, tfd.MultivariateNormalDiag(tf.zeros(2)), z)
    spread = np.std((q.mean() ** 2 + z**2) / 2, axis=0) + np.std((z / [0.3, 2.0]) ** 2 / 2, axis=0)
    assert (np.abs(marginal_kl(q, mixture, z) - exact) < 4 * spread / np.sqrt(20_000)).all()


def test_equal_posteriors_carry_nothing_and_distant_ones_the_image(program):
    """The bounds of I(n; z): 0, and log N."""
    _, pixels, built = program(*LINEAR)
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    evaluator = AggregateEvaluator(built.model, images.shape[1:])
    set_encoder(built.model, (np.zeros((64, 3)), [1.0, 2.0, -1.0]), 0.5)
    np.testing.assert_allclose(evaluator(Images(images, levels), 0, True)["mutual_information"], 0.0, atol=1e-5)
    kernel = np.random.default_rng(0).normal(size=(64, 3)) * 50
    set_encoder(built.model, (kernel, np.zeros(3)), 0.5)
    distinct = np.unique(images, axis=0)
    information = evaluator(Images(distinct, levels), 0, True)["mutual_information"]
    np.testing.assert_allclose(information, np.log(len(distinct)), atol=1e-3)


def test_mutual_information_of_two_images_meets_quadrature(program, figure):
    """Images of two kinds, with posteriors N(-1, .8^2) and N(1, .8^2): I is the entropy of the mixture less that."""
    _, _, built = program(*LINEAR, "latent_size=1")
    kernel = np.zeros((64, 1))
    kernel[0] = 2.0
    set_encoder(built.model, (kernel, [-1.0]), 0.8)
    images = np.zeros((2000, 8, 8, 1), np.uint8)
    images[::2, 0, 0] = 1
    information = AggregateEvaluator(built.model, images.shape[1:])(Images(images, 2), 0, True)["mutual_information"]
    z = np.linspace(-9, 9, 20_001)
    density = 0.5 * (stats.norm.pdf(z, -1, 0.8) + stats.norm.pdf(z, 1, 0.8))
    exact = np.trapezoid(-density * np.log(density), z) - stats.norm(0, 0.8).entropy()
    error = information.std() / np.sqrt(len(information))
    figure(
        "I(n; z) of two kinds of image against quadrature, standard errors",
        (information.mean() - exact) / error,
        "below 4",
    )
    assert abs(information.mean() - exact) < 4 * error


def test_mutual_information_does_not_depend_on_how_the_pairs_are_cut(program, monkeypatch):
    _, pixels, built = program("posterior=mvn_tril", "training.jit=false")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    whole = AggregateEvaluator(built.model, images.shape[1:])(Images(images, levels), 0, True)["mutual_information"]
    monkeypatch.setattr(aggregate, "PAIRS", 7 * len(images))
    cut = AggregateEvaluator(built.model, images.shape[1:])(Images(images, levels), 0, True)["mutual_information"]
    np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-5)


def test_information_and_aggregate_kl_are_the_rate_of_their_images(program):
    cfg, pixels, built = program("training.jit=false", "evaluation.latent_images=100")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    rate = built.elbo(Images(images, levels), 1, 0)["rate"]
    metrics, _ = latent_metrics(built, "test", Images(images, levels), cfg.evaluation, rate, True)
    rows = spread_rows(360, 100)
    assert len(set(rows)) == 100
    assert (rows[0], rows[-1]) == (0, 359)
    assert metrics["test/index_code_mi"] + metrics["test/aggregate_kl"] == pytest.approx(rate[rows].mean())
    none = replace(cfg.evaluation, latent_images=0)
    assert latent_metrics(built, "test", Images(images, levels), none, rate, True) == ({}, {})


def test_a_posterior_without_a_fast_density_has_no_mutual_information(program):
    cfg, pixels, built = program("posterior=iaf", "posterior.hidden=[8]", "estimator=monte_carlo", "training.jit=false")
    found = latent_metrics(built, "test", pixels.fixed["test"], cfg.evaluation, np.zeros(360), False)
    assert found == ({}, {})


def test_spatial_latents_are_counted_one_by_one(program):
    _, pixels, built = program(*SPATIAL, "prior=mixture", "estimator=monte_carlo")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    found = AggregateEvaluator(built.model, images.shape[1:])(Images(images[:50], levels), 0, True)
    assert found["marginal_kl"].shape == (4 * 4 * 3,)
    assert (found["mutual_information"] < np.log(50) + 1e-4).all()
