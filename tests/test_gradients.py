"""The noise of a gradient: where it is known, and where there is none."""

import numpy as np
import pytest
import tensorflow as tf

from vae_lab.binarization import intensities
from vae_lab.config import parts
from vae_lab.evaluation.gradients import GROUPS, Moments, gradient_metrics, gradient_noise

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


def moments_of(draws):
    """`GradientNoise` of given gradients [draws, weights]."""
    found = Moments(draws[0], min(GROUPS, len(draws)))
    for number, value in enumerate(draws, 1):
        found.add(number, value)
    return found.noise()


def test_moments_are_those_of_numpy():
    """Also of 23 draws, whose groups are not of one size, far from zero."""
    draws = 1e4 + np.random.default_rng(0).normal(size=(23, 7)) * np.arange(1, 8)
    noise = moments_of(draws)
    assert noise.mean_norm == pytest.approx(np.linalg.norm(draws.mean(axis=0)), rel=1e-12)
    assert noise.variance == pytest.approx(draws.var(axis=0, ddof=1).sum(), rel=1e-9)
    pairs = draws @ draws.T
    u_statistic = (pairs.sum() - np.trace(pairs)) / (23 * 22)  # the mean over pairs of different draws
    assert noise.signal_to_noise.value**2 == pytest.approx(u_statistic / noise.variance, rel=1e-9)
    assert noise.weight_signal_to_noise.value == pytest.approx(np.mean(1e4 / np.arange(1, 8)), rel=0.2)


def test_no_signal_shows_none(figure):
    """|mean| / sd is 1 / sqrt(draws) = .1 a vector and .08 a weight; corrected both are 0 within four errors."""
    rng = np.random.default_rng(1)
    found = [moments_of(rng.normal(size=(100, 1000))) for _ in range(40)]
    raw = np.mean([noise.mean_norm / noise.variance**0.5 for noise in found])
    whole, by_weight = (
        np.mean([getattr(noise, name).value for noise in found])
        for name in ("signal_to_noise", "weight_signal_to_noise")
    )
    figure("Signal-to-noise where there is no signal, 100 draws, not corrected", raw, ".1")
    figure("The same, corrected, as a vector", whole, "below .03")
    figure("The same, corrected, mean over weights", by_weight, "below .003")
    assert raw == pytest.approx(0.1, rel=0.02)
    assert whole < 0.03  # the square is 0 +- 4.5e-4, and its root .02
    assert by_weight < 0.003  # a mean over 1000 weights is 0 +- .0032, and half of them are cut at 0


@pytest.mark.parametrize("signal", [0.0, 0.05, 0.5, 3.0])
def test_intervals_hold_a_known_signal(signal, figure):
    """95% nominal: at least 90.5% of 200, three standard errors below; of 100 weights and 60 draws."""
    rng = np.random.default_rng(2)
    found = [moments_of(signal + rng.normal(size=(60, 100))) for _ in range(200)]
    # Of a weight whose sign is not sure the mean over weights is too low, as it says.
    for name in ("signal_to_noise", "weight_signal_to_noise") if signal != 0.05 else ("signal_to_noise",):
        estimates = np.array([getattr(noise, name) for noise in found])
        held = np.mean((estimates[:, 1] <= signal) & (signal <= estimates[:, 2]))
        figure(f"Share of 95% intervals of {name} that hold {signal:g}, 60 draws", held, "at least .905")
        assert held >= 0.905
        if signal > 0.05:
            assert estimates[:, 0].mean() == pytest.approx(signal, rel=0.01)


def test_weights_without_noise_do_not_count():
    rng = np.random.default_rng(3)
    noise = moments_of(np.concatenate([2 + rng.normal(size=(500, 50)), np.zeros((500, 50))], axis=1))
    assert noise.weight_signal_to_noise.value == pytest.approx(2, rel=0.02)
    assert np.isnan(moments_of(np.ones((5, 3))).signal_to_noise).all()


def test_gradient_metrics_are_named_by_part_and_the_same_again(program):
    cfg, pixels, built = program("prior=mixture", "estimator=monte_carlo", "training.jit=false")
    arguments = (built.model, parts.make(cfg.options["estimator"]), some_images(pixels, 5))
    metrics = gradient_metrics(*arguments, 3, 0)
    ratios = ("signal_to_noise", "weight_signal_to_noise")
    quantities = ("mean_norm", "variance", *(f"{name}{end}" for name in ratios for end in ("", "_low", "_high")))
    assert set(metrics) == {f"gradient/{part}/{q}" for part in ("encoder", "decoder", "prior") for q in quantities}
    for part in ("encoder", "decoder", "prior"):
        norm, variance, ratio = (metrics[f"gradient/{part}/{quantity}"] for quantity in quantities[:3])
        assert ratio == pytest.approx(max(norm**2 - variance / 3, 0) ** 0.5 / variance**0.5)
    assert gradient_metrics(*arguments, 3, 0) == metrics
    assert gradient_metrics(*arguments, 0, 0) == {}
    of_two = gradient_metrics(*arguments, 2, 0)
    assert "gradient/encoder/signal_to_noise" in of_two
    assert "gradient/encoder/signal_to_noise_low" not in of_two
