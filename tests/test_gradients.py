"""The noise of a gradient: where it is known, and where there is none."""

import numpy as np
import pytest
import tensorflow as tf

from vae_lab.binarization import intensities
from vae_lab.config import parts
from vae_lab.evaluation.gradients import gradient_metrics, gradient_noise

LINEAR = ("encoder=linear", "decoder=linear", "likelihood=normal", "binarization=none", "training.jit=false")


def some_images(pixels, count):
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    return intensities(images[:count], levels)


def test_gradient_of_a_decoder_at_zero_has_known_moments(program):
    """With W = 0 the kernel's gradient is -mean_b (x_b - b) z_b', the bias's is fixed, and the encoder sees the KL."""
    cfg, pixels, built = program(*LINEAR)
    model, x = built.model, some_images(pixels, 20)
    kernel, bias = model.decoder.weights
    kernel.assign(tf.zeros_like(kernel))
    q = model.encode(x)
    residual = x.numpy().reshape(20, -1).astype(float) - bias.numpy()
    loc, scale = q.mean().numpy().astype(float), q.stddev().numpy().astype(float)
    variance = ((residual**2).sum(axis=1) * (scale**2).sum(axis=1)).sum() / 20**2
    mean = np.concatenate([(loc.T @ residual / 20).ravel(), residual.mean(axis=0)])
    draws = 2000
    noise = gradient_noise(model, parts.make(cfg.options["estimator"]), x, draws, 0)
    assert noise["decoder"].variance == pytest.approx(variance, rel=0.05)
    squared_norm = noise["decoder"].mean_norm ** 2 - noise["decoder"].variance / draws
    assert squared_norm == pytest.approx((mean**2).sum(), rel=0.02)
    assert noise["encoder"].variance == pytest.approx(0.0, abs=1e-12)
    assert set(noise) == {"encoder", "decoder"}


def test_sticking_the_landing_has_no_noise_at_the_exact_posterior(program, figure):
    """One latent, p(x|z) = N(Wz + b, I): q(z|x) = N(W'(x - b) / (1 + W'W), 1 / (1 + W'W)) is exact."""
    noise = {}
    for estimator in ("sticking_the_landing", "monte_carlo"):
        cfg, pixels, built = program(*LINEAR, "latent_size=1", f"estimator={estimator}", "estimator.samples=1")
        model, x = built.model, some_images(pixels, 20)
        w, b = (weight.numpy().astype(float) for weight in model.decoder.weights)
        precision = 1 + (w**2).sum()
        raw_scale = np.log(np.expm1(precision**-0.5 - model.posterior.scale_floor))
        kernel, bias = model.encoder.weights
        kernel.assign(np.concatenate([w.T / precision, np.zeros_like(w.T)], axis=1))
        bias.assign(np.concatenate([-w @ b / precision, [raw_scale]]))
        noise[estimator] = gradient_noise(model, parts.make(cfg.options["estimator"]), x, 50, 0)["encoder"]
    ratio = noise["sticking_the_landing"].variance / noise["monte_carlo"].variance
    figure("Variance of the path gradient over the full one, exact posterior", ratio, "0 up to float32")
    assert ratio < 1e-8


def test_averaging_over_samples_divides_the_variance(program):
    """Every part's, by K: within 15 percent for 1500 draws."""
    found = {}
    for samples in (1, 8):
        cfg, pixels, built = program("estimator=monte_carlo", f"estimator.samples={samples}", "training.jit=false")
        found[samples] = gradient_noise(
            built.model, parts.make(cfg.options["estimator"]), some_images(pixels, 5), 1500, 0
        )
    for part in ("encoder", "decoder"):
        assert found[1][part].variance / found[8][part].variance == pytest.approx(8, rel=0.15)


def test_gradient_metrics_are_named_by_part_and_the_same_again(program):
    cfg, pixels, built = program("prior=mixture", "estimator=monte_carlo", "training.jit=false")
    arguments = (built.model, parts.make(cfg.options["estimator"]), some_images(pixels, 5))
    metrics = gradient_metrics(*arguments, 3, 0)
    quantities = ("mean_norm", "variance", "signal_to_noise")
    assert set(metrics) == {f"gradient/{part}/{q}" for part in ("encoder", "decoder", "prior") for q in quantities}
    for part in ("encoder", "decoder", "prior"):
        norm, variance, ratio = (metrics[f"gradient/{part}/{quantity}"] for quantity in quantities)
        assert ratio == pytest.approx(norm / variance**0.5)
    assert gradient_metrics(*arguments, 3, 0) == metrics
    assert gradient_metrics(*arguments, 0, 0) == {}
