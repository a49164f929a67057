"""Evaluation at fixed weights: exact values, and independence from how the work is cut."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.binarization import intensities
from vae_lab.data import digits
from vae_lab.data.images import Images
from vae_lab.evaluation.elbo import ElboEvaluator
from vae_lab.evaluation.importance import LogLikelihoodEvaluator
from vae_lab.evaluation.metrics import evaluate_split
from vae_lab.run.conclude import final_metrics

tfd = tfp.distributions

EXACT = ("likelihood=normal", "binarization=none", "decoder.hidden=[]", "latent_size=2", "training.jit=false")


def linear_log_likelihood(model, pixels, levels):
    """log p(x) of a linear decoder with unit Gaussian likelihood, float64 [N]."""
    kernel, bias = (weight.numpy().astype(float) for weight in model.decoder.weights)
    residual = intensities(pixels, levels).numpy().reshape(len(pixels), -1) - bias
    covariance = np.eye(len(bias)) + kernel.T @ kernel
    return -0.5 * (
        np.einsum("ni,ij,nj->n", residual, np.linalg.inv(covariance), residual)
        + np.linalg.slogdet(covariance)[1]
        + len(bias) * np.log(2 * np.pi)
    )


def evaluated(built, split, pixels, cfg, bits_offset=0.0):
    return evaluate_split(built, split, pixels.fixed[split], cfg.evaluation, bits_offset, True, True)


def test_logged_rate_is_the_mean_closed_form_kl(program):
    _, pixels, built = program("training.jit=false")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    q = built.model.encode(intensities(images, levels))
    independent = tfd.kl_divergence(q, built.model.latent_prior()).numpy().astype(float).mean()
    assert built.elbo(Images(images, levels), 1, 0)["rate"].mean() == pytest.approx(independent, rel=1e-5)


@pytest.mark.parametrize("prior", ["mvn", "mixture"])
@pytest.mark.parametrize("samples", [1, 3])
def test_elbo_of_an_image_does_not_depend_on_the_images_behind_it(program, prior, samples):
    _, pixels, built = program("training.jit=false", f"prior={prior}", "estimator=monte_carlo")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels  # 360 rows: no whole blocks of 100
    whole = built.elbo(Images(images, levels), samples, 0)["elbo"]
    assert whole.shape == (360,)
    for count in (1, 100, 250):
        np.testing.assert_allclose(
            built.elbo(Images(images[:count], levels), samples, 0)["elbo"], whole[:count], rtol=1e-6
        )


def test_elbo_is_traced_once_for_splits_of_any_length(program, monkeypatch):
    _, pixels, built = program("training.jit=false")
    traced, encode = [], built.model.features
    monkeypatch.setattr(built.model, "features", lambda x: traced.append(x.shape) or encode(x))
    for name, images in pixels.fixed.items():
        assert built.elbo(images, 1, 0)["elbo"].shape == (len(images),), name
    assert traced == [(100, 8, 8, 1)]


def test_images_beyond_a_call_are_evaluated_alike(program, monkeypatch):
    """Of 360 rows, four blocks, cut into calls of one, three and all blocks."""
    _, pixels, built = program("training.jit=false")
    found = []
    for blocks in (1, 3, 10):
        monkeypatch.setattr("vae_lab.evaluation.elbo.BLOCKS_A_CALL", blocks)
        found.append(built.elbo(pixels.fixed["test"], 2, 0)["elbo"])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-6)


def test_blocks_of_the_same_images_get_different_noise(program):
    _, pixels, built = program("training.jit=false")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    twice = np.concatenate([images[:100]] * 2)
    for found in (
        built.elbo(Images(twice, levels), 1, 0)["distortion"],
        built.log_likelihood(Images(twice, levels), 5, 0),
    ):
        assert np.all(found[:100] != found[100:])
        assert found[:100].mean() == pytest.approx(found[100:].mean(), rel=0.02)


def test_a_long_evaluation_says_how_far_it_has_come(program, monkeypatch, caplog):
    _, pixels, built = program("training.jit=false")
    images = pixels.fixed["test"]
    caplog.set_level("INFO", "vae_lab")
    monkeypatch.setattr("vae_lab.evaluation.importance.SECONDS_BETWEEN_LINES", math.inf)
    quiet = built.log_likelihood(images, 5, 0)
    assert caplog.messages == []
    monkeypatch.setattr("vae_lab.evaluation.importance.SECONDS_BETWEEN_LINES", 0.0)
    np.testing.assert_array_equal(built.log_likelihood(images, 5, 0), quiet)
    whole = (len(images) - 1) // 100  # blocks before the last, which needs no line
    assert [text.partition(" images, ")[0] for text in caplog.messages] == [
        f"log-likelihood by 5 samples: {number * 100} of {len(images)}" for number in range(1, whole + 1)
    ]


def test_every_model_gets_the_same_noise(program):
    """Of two models that differ in their prior alone the distortion is the same, image by image."""
    standard, mixture = program()[2], program("prior=mixture", "estimator=monte_carlo")
    images, levels = mixture[1].fixed["test"].pixels, mixture[1].fixed["test"].levels
    found = [built.elbo(Images(images, levels), 3, 0)["distortion"] for built in (standard, mixture[2])]
    np.testing.assert_array_equal(*found)


def test_evaluation_seed_changes_the_noise(program):
    _, pixels, built = program("training.jit=false")
    one, other = (built.elbo(pixels.fixed["test"], 1, seed)["distortion"] for seed in (0, 1))
    assert not np.array_equal(one, other)
    assert one.mean() == pytest.approx(other.mean(), rel=0.02)


def test_log_likelihood_meets_the_exact_one(program, figure):
    """Importance sampling with K=2000 in two dimensions: the mean over 360 images within 0.05 nats."""
    _, pixels, built = program(*EXACT)
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    exact = linear_log_likelihood(built.model, images, levels)
    estimate = built.log_likelihood(Images(images, levels), 2000, 0)
    figure(
        "Importance-sampled minus exact log p(x), linear model, K = 2000, nats", np.mean(estimate - exact), "0 ± .05"
    )
    assert abs(np.mean(estimate - exact)) < 0.05


def test_bounds_rise_with_the_number_of_samples_up_to_the_log_likelihood(program):
    _, pixels, built = program(*EXACT)
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    bounds = [built.elbo(Images(images, levels), 1, 0)["elbo"]]
    bounds += [built.log_likelihood(Images(images, levels), samples, 0) for samples in (5, 50, 1000)]
    bounds.append(linear_log_likelihood(built.model, images, levels))
    for lower, upper in itertools.pairwise(bounds):
        difference = upper - lower
        assert difference.mean() > -3 * difference.std() / math.sqrt(len(difference))


def test_one_sample_log_likelihood_is_the_sampled_elbo(program):
    """K = 1 with its own noise: equal in expectation, within four standard errors of the paired difference."""
    _, pixels, built = program("training.jit=false")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    difference = built.log_likelihood(Images(images, levels), 1, 0) - built.elbo(Images(images, levels), 1, 0)["elbo"]
    assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(len(difference))


def test_log_likelihood_does_not_depend_on_how_samples_are_blocked(program):
    """60 samples are a whole block of 50 and a part of the next: by hand from the same draws."""
    from vae_lab.evaluation.blocks import posterior_samples

    _, pixels, built = program("training.jit=false")
    images, levels = pixels.fixed["test"].pixels[:100], 2
    x = intensities(images, levels)
    features = built.model.encoder(x)
    q = built.model.posterior.distribution(features)
    z = tf.concat(
        [posterior_samples(built.model.posterior, features, 50, 0, "importance", 0, block)[0] for block in (0, 1)],
        axis=0,
    )[:60]
    assert len(np.unique(z.numpy()[:, 0], axis=0)) == 60
    log_weights = built.model.decode(z).log_prob(x) + built.model.latent_prior().log_prob(z) - q.log_prob(z)
    by_hand = np.logaddexp.reduce(log_weights.numpy().astype(float), axis=0) - math.log(60)
    np.testing.assert_allclose(built.log_likelihood(Images(images, levels), 60, 0), by_hand, rtol=1e-6)


def test_the_likelihood_is_compiled_where_there_is_enough_to_evaluate(program):
    for overrides, compiled in (
        (["evaluation.importance_samples=500"], False),  # of 360 images: 180,000 decodings
        (["evaluation.importance_samples=600"], True),
        (["evaluation.importance_samples=600", "encoder=conv", "decoder=conv", "decoder.base=[2,2,32]"], True),
        (["evaluation.importance_samples=600", "training.jit=false"], False),
    ):
        built = program(*overrides)[2]
        for evaluator in (built.elbo, built.log_likelihood):
            assert bool(evaluator._conditional_log_prob._jit_compile) is compiled, overrides


def test_xla_evaluates_to_the_same_numbers(program):
    """The noise is drawn outside XLA, so only rounding differs."""
    _, pixels, built = program("training.jit=false")
    images = pixels.fixed["test"]
    plain, compiled = (ElboEvaluator(built.model, True, jit)(images, 1, 0) for jit in (False, True))
    for name, expected in plain.items():
        np.testing.assert_allclose(compiled[name], expected, rtol=2e-5, err_msg=name)
    plain, compiled = (LogLikelihoodEvaluator(built.model, jit)(images, 60, 0) for jit in (False, True))
    np.testing.assert_allclose(compiled, plain, rtol=2e-5)


def test_bits_per_dim_only_for_probabilities_of_the_pixels(program):
    cfg, pixels, built = program("training.jit=false", "evaluation.importance_samples=5")
    metrics, values, _ = evaluated(built, "test", pixels, cfg, bits_offset=0.0)
    assert metrics["test/bits_per_dim"] == pytest.approx(-metrics["test/log_likelihood"] / (64 * math.log(2)))
    assert metrics["test/elbo"] == pytest.approx(values["elbo"].mean())
    assert metrics["test/elbo"] == pytest.approx(-metrics["test/rate"] - metrics["test/distortion"])
    metrics, _, _ = evaluated(built, "test", pixels, cfg, bits_offset=3.0)
    assert metrics["test/bits_per_dim"] == pytest.approx(-metrics["test/log_likelihood"] / (64 * math.log(2)) + 3)
    metrics, _, _ = evaluated(built, "test", pixels, cfg, bits_offset=None)
    assert "test/bits_per_dim" not in metrics


def test_standard_error_is_that_of_a_mean_over_images(program):
    """And it is what a bootstrap over images finds."""
    cfg, pixels, built = program("training.jit=false", "evaluation.importance_samples=5")
    metrics, values, _ = evaluated(built, "val", pixels, cfg)
    bootstrap = np.random.default_rng(0).choice(values["elbo"], (4000, len(values["elbo"]))).mean(axis=1).std()
    assert metrics["val/elbo_se"] == pytest.approx(bootstrap, rel=0.05)
    by_hand = np.std(values["log_likelihood"], ddof=1) / math.sqrt(237)
    assert metrics["val/log_likelihood_se"] == pytest.approx(by_hand, rel=1e-12)


def test_every_split_is_evaluated_alike(program):
    cfg, pixels, built = program(
        "training.jit=false", "evaluation.importance_samples=5", "evaluation.log_likelihood_of=[train,test]"
    )
    metrics, images, latents = final_metrics(built, pixels, cfg)
    assert {name: len(values["elbo"]) for name, values in images.items()} == {"train": 1200, "val": 237, "test": 360}
    assert {name for name, values in images.items() if "log_likelihood" in values} == {"train", "test"}
    assert all(values["variance_of_mean"].shape == values["marginal_kl"].shape == (3,) for values in latents.values())
    of_split = [{key.split("/")[1] for key in metrics if key.startswith(split)} for split in ("train", "val", "test")]
    assert of_split[0] == of_split[2] > of_split[1]


def test_fixed_mnist_starts_at_the_product_of_bernoullis(program, data_dir, figure):
    """Output bias at the logit of the train mean, last kernel zero: 205.952 nats."""
    _cfg, pixels, built = program(
        "data=binarized_mnist",
        f"data.dir={data_dir}",
        "likelihood.output_bias=train_mean",
        "decoder.output_initializer=zeros",
        "training.jit=false",
    )
    distortion = built.elbo(pixels.fixed["test"], 1, 0)["distortion"]
    figure("Test distortion of the product of Bernoullis on fixed MNIST, nats", distortion.mean(), "205.952 ± .01")
    assert len(distortion) == 10_000
    assert distortion.mean() == pytest.approx(205.952, abs=0.01)


def test_bits_per_dim_of_a_density_and_of_levels_compare(program):
    """A density that is flat over [0, 1] says as much as a uniform choice among the levels: log2(17) bits a pixel."""
    cfg, pixels, _ = program("likelihood=normal", "binarization=dequantized", "training.jit=false")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    assert (levels, images.dtype) == (None, np.float32)
    assert 0 <= images.min() < images.max() < 1
    flat_log_likelihood_per_dim = 0.0
    assert -flat_log_likelihood_per_dim / math.log(2) + cfg.bits_offset == pytest.approx(math.log2(17))
    np.testing.assert_array_equal(np.floor(images * 17), digits.load(None, 237).test.pixels)
    standard_error = 1 / 17 / math.sqrt(12 * images.size)
    expected = (digits.load(None, 237).test.pixels.mean() + 0.5) / 17
    assert abs(images.mean() - expected) < 4 * standard_error


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["mvn", "mvn_tril", "mixture", "vamp", "flow", "spline"])
def test_bounds_are_ordered_for_a_trained_model_of_each_prior(program, prior, figure):
    """ELBO <= IWAE_5 <= IWAE_50 on the test images, within three standard errors of the paired differences."""
    components = ("prior.components=5",) if prior in ("mixture", "vamp") else ()
    _, pixels, built = program(f"prior={prior}", "estimator=monte_carlo", "training.jit=false", *components)
    for _ in built.trainer.train(tf.constant(pixels.train.pixels), 0, 10):
        pass
    images = pixels.fixed["test"]
    bounds = [built.elbo(images, 1, 0)["elbo"]]
    bounds += [built.log_likelihood(images, samples, 0) for samples in (5, 50)]
    gaps = [upper - lower for lower, upper in itertools.pairwise(bounds)]
    for gap in gaps:
        assert gap.mean() > -3 * gap.std() / math.sqrt(len(gap))
    figure(f"IWAE_50 - ELBO of a trained model, prior={prior}, nats", bounds[2].mean() - bounds[0].mean(), "at least 0")
