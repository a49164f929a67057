"""What importance weights say of the estimate that they make: on tails and models whose every quantity is known."""

import math

import numpy as np
import pytest

from vae_lab.data.images import Images
from vae_lab.evaluation.metrics import weight_metrics
from vae_lab.evaluation.pareto import PRIOR_K, PRIOR_WEIGHT, generalized_pareto_k, pareto_k, tail_size

LINEAR = (
    "encoder=linear", "decoder=linear", "likelihood=normal", "binarization=none", "latent_size=1", "training.jit=false",
)  # fmt: skip


def of_scale(built, factor):
    """One latent, p(x|z) = N(Wz + b, I): the encoder is put to the exact posterior, its deviation times `factor`."""
    model = built.model
    w, b = (weight.numpy().astype(float) for weight in model.decoder.weights)
    precision = 1 + (w**2).sum()
    raw_scale = np.log(np.expm1(factor * precision**-0.5 - model.posterior.scale_floor))
    kernel, bias = model.encoder.weights
    kernel.assign(np.concatenate([w.T / precision, np.zeros_like(w.T)], axis=1))
    bias.assign(np.concatenate([-w @ b / precision, [raw_scale]]))


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.5, 0.9, 1.5])
def test_k_of_a_generalized_pareto_is_found(k, figure):
    """x = (U^-k - 1) / k; 400 samples of 1000. The maximum likelihood estimate's deviation is (1 + k) / sqrt(1000)."""
    uniform = np.random.default_rng(0).uniform(size=(400, 1000))
    found = generalized_pareto_k(np.sort((uniform**-k - 1) / k, axis=1))
    figure(f"Pareto k by 1000 exceedances, mean of 400, k = {k:g}", found.mean(), f"{k:g} ± .01")
    assert found.mean() == pytest.approx(k, abs=0.01)
    if k > -0.5:  # where the estimate is regular
        assert found.std() == pytest.approx((1 + k) / math.sqrt(1000), rel=0.15)
    scaled = generalized_pareto_k(np.sort((uniform[:5] ** -k - 1) / k, axis=1) * 1e-9)
    np.testing.assert_allclose(scaled, found[:5], rtol=1e-6)


@pytest.mark.parametrize("k", [0.3, 0.9])
def test_k_of_weights_takes_their_tail_and_the_weak_prior(k, figure):
    """Pareto weights U^-k have a generalized Pareto tail of shape k above every threshold."""
    samples, rng = 4000, np.random.default_rng(1)
    log_weights = np.sort(-k * np.log(rng.uniform(size=(300, samples))), axis=1)[:, -tail_size(samples) - 1 :]
    found = pareto_k(log_weights - 90, samples)
    size = tail_size(samples)
    expected = (size * k + PRIOR_WEIGHT * PRIOR_K) / (size + PRIOR_WEIGHT)
    figure(f"Pareto k of 4000 weights with tail {k:g}, mean of 300 images", found.mean(), f"{expected:.3f} ± .02")
    assert found.mean() == pytest.approx(expected, abs=0.02)
    np.testing.assert_allclose(pareto_k(log_weights[:, ::-1], samples), found, rtol=1e-6)


def test_there_is_no_k_of_few_or_of_equal_weights():
    assert np.isnan(pareto_k(np.random.default_rng(0).normal(size=(3, tail_size(24) + 1)), 24)).all()
    assert np.isnan(pareto_k(np.full((3, tail_size(100) + 1), -90.0), 100)).all()
    heavy = pareto_k(np.tile([-math.inf] * 20 + [-1000.0], (3, 1)), 100)  # one weight is all there is
    assert (heavy > 0.7).all()


def test_weights_of_a_linear_model_say_how_its_posterior_is(program, figure):
    """Equal at the exact posterior. At one of a third of its width they have no second moment: k = 1 - 1/9 > .7."""
    _, pixels, built = program(*LINEAR, "evaluation.importance_samples=2000")
    images = Images(pixels.fixed["test"].pixels[:100], pixels.fixed["test"].levels)
    of_scale(built, 1.0)
    exact = built.log_likelihood.diagnosed(images, 2000, 0)
    np.testing.assert_allclose(exact["ess"], 2000, rtol=1e-6)
    np.testing.assert_allclose(exact["log_likelihood_rise"], 0, atol=1e-4)
    assert weight_metrics("test", exact, 2000)["test/high_pareto_k"] == 0
    of_scale(built, 1 / 3)
    narrow = built.log_likelihood.diagnosed(images, 2000, 0)
    metrics = weight_metrics("test", narrow, 2000)
    figure(
        "Pareto k of a posterior a third as wide as the exact one", metrics["test/pareto_k"], "above .7; 8/9 far out"
    )
    assert metrics["test/pareto_k"] > 0.7
    assert metrics["test/high_pareto_k"] > 0.5
    assert metrics["test/ess"] < 1000
    of_scale(built, 1.2)  # weights are bounded
    assert weight_metrics("test", built.log_likelihood.diagnosed(images, 2000, 0), 2000)["test/pareto_k"] < 0.5


def test_diagnostics_are_those_of_the_weights_by_hand(program):
    """61 samples: a whole block of 50, a part of the next, and one that is of no half."""
    import tensorflow as tf

    from vae_lab.binarization import intensities
    from vae_lab.evaluation.blocks import posterior_samples

    _, pixels, built = program("training.jit=false")
    images, levels = pixels.fixed["test"].pixels[:100], 2
    x = intensities(images, levels)
    features, posterior = built.model.features(x), built.model.posterior
    draws = [posterior_samples(posterior, features, 50, 0, "importance", 0, block) for block in (0, 1)]
    z, log_q = (tf.concat(parts, axis=0)[:61] for parts in zip(*draws, strict=True))
    log_weights = built.model.decode(z).log_prob(x) + built.model.latent_prior().log_prob(z) - log_q
    log_weights = log_weights.numpy().astype(float)
    found = built.log_likelihood.diagnosed(Images(images, levels), 61, 0)
    weights = np.exp(log_weights - log_weights.max(axis=0))
    np.testing.assert_allclose(found["ess"], weights.sum(axis=0) ** 2 / (weights**2).sum(axis=0), rtol=1e-4)
    whole, *halves = (
        np.logaddexp.reduce(part, axis=0) - math.log(len(part))
        for part in (log_weights, log_weights[:30], log_weights[30:60])
    )
    np.testing.assert_allclose(found["log_likelihood_rise"], whole - np.mean(halves, axis=0), atol=1e-4)
    largest = np.sort(log_weights, axis=0)[-tail_size(61) - 1 :].T
    np.testing.assert_allclose(found["pareto_k"], pareto_k(largest, 61), atol=1e-3)


def test_what_few_samples_cannot_say_is_not_logged():
    one = {"log_likelihood": np.zeros(4), "ess": np.ones(4), "log_likelihood_rise": np.full(4, math.nan)}
    one["pareto_k"] = np.full(4, math.nan)
    assert set(weight_metrics("test", one, 1)) == {"test/ess", "test/ess_se"}
    some = one | {"log_likelihood_rise": np.ones(4)}
    rise = {"test/log_likelihood_rise", "test/log_likelihood_rise_se"}
    assert set(weight_metrics("test", some, 24)) == {"test/ess", "test/ess_se", *rise}
    assert set(weight_metrics("test", some, 25)) == {"test/ess", "test/ess_se", *rise, "test/high_pareto_k"}


class Weighed:
    """A run, as far as `could_turn` sees it."""

    def __init__(self, log_likelihood, rise, high):
        self.metrics = {"test/log_likelihood": log_likelihood, "test/log_likelihood_rise": rise}
        self.metrics |= {} if high is None else {"test/high_pareto_k": high}


@pytest.mark.parametrize(
    ("arm", "other", "told"),
    [
        ((-90.0, 0.2, 0.1), (-90.5, 0.3, 0.1), None),  # .5 apart, and the rises .1
        ((-90.0, 0.2, 0.1), (-90.5, 0.9, 0.1), "still rise by 0.2 and 0.9 nats"),
        ((-90.5, 0.9, None), (-90.0, 0.2, None), "still rise by 0.9 and 0.2 nats"),
        ((-90.0, 0.9, 0.1), (-90.5, 0.2, 0.1), None),  # the one ahead goes further ahead
        ((-90.0, 0.2, 0.4), (-95.0, 0.2, 0.6), "above .7 for 40% and 60% of the images"),
        ((-90.0, 0.2, 0.8), (-95.0, 0.2, 0.6), None),
    ],
)
def test_a_report_says_where_an_order_could_turn(arm, other, told):
    from vae_lab.report.convergence import could_turn

    for metric in ("test/log_likelihood", "test/bits_per_dim"):
        found = could_turn([(Weighed(*arm), Weighed(*other))] * 2, metric)
        assert found is None if told is None else told in found
    assert could_turn([(Weighed(*arm), Weighed(*other))], "test/elbo") is None
    assert could_turn([(Weighed(*arm), Weighed(*other))], "val/log_likelihood") is None  # which nobody logged
