"""Posteriors against hand formulas in float64, autodiff Jacobians and their own samples."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from omegaconf import OmegaConf

from vae_lab.config import options, parts
from vae_lab.layers.masked import MaskedNetwork
from vae_lab.posterior.mvn_diag import MVNDiag

tfd = tfp.distributions

SEED = tf.constant([3, 5])
SMALL = {
    "categorical": {"categories": 3},
    "iaf": {"steps": 2, "hidden": [16], "context": 4},
    "planar": {"steps": 2},
    "spline": {"couplings": 2, "bins": 4, "hidden": [8], "context": 4},
    "sylvester": {"steps": 2, "reflections": 2},
}
PRIORS = {
    "mixture": {"components": 3},
    "vamp": {"components": 2},
    "flow": {"couplings": 2, "hidden": [6]},
    "spline": {"couplings": 2, "bins": 4, "hidden": [6]},
    "autoregressive": {"hidden": [6]},
    "categorical": {"categories": 3},
}


def names(axis):
    return sorted(path.stem for path in (options.CONF / axis).glob("*.yaml"))


def option(axis, name):
    return OmegaConf.load(options.CONF / axis / f"{name}.yaml")


def posterior(name, latent_size=3, **settings):
    keras.utils.set_random_seed(1)
    return parts.make({**option("posterior", name), **SMALL.get(name, {}), **settings}, latent_size=latent_size)


def prior(name, latent_shape):
    keras.utils.set_random_seed(2)
    images = np.random.default_rng(4).uniform(size=(5, 2, 2, 1)).astype(np.float32)
    offered = parts.extra_arguments(option("prior", name), image_shape=(2, 2, 1), train_images=images)
    return parts.make({**option("prior", name), **PRIORS.get(name, {})}, latent_shape=latent_shape, **offered)


def scrambled(part, spread=0.5):
    """The part with weights far from where they start."""
    rng = np.random.default_rng(6)
    for weight in part.weights:
        weight.assign(rng.normal(size=weight.shape) * spread)
    return part


def features(part, rows=4, grid=(), size=1.0):
    return tf.constant(np.random.default_rng(0).normal(size=(rows, *grid, part.params_size)) * size, tf.float32)


def hand_kl(q, p):
    """KL of Gaussians [B] by matrices in float64."""
    a, b = (np.asarray(tf.convert_to_tensor(d.scale.to_dense()), np.float64) for d in (q, p))
    delta = np.asarray(q.mean(), np.float64) - np.asarray(p.mean(), np.float64)
    cov_a, cov_b = a @ np.swapaxes(a, -1, -2), b @ np.swapaxes(b, -1, -2)
    inverse = np.linalg.inv(cov_b)
    trace = np.trace(inverse @ cov_a, axis1=-2, axis2=-1)
    log_dets = np.linalg.slogdet(cov_b)[1] - np.linalg.slogdet(cov_a)[1]
    return 0.5 * (trace + np.einsum("bi,ij,bj->b", delta, inverse, delta) - a.shape[-1] + log_dets)


GAUSSIAN_PAIRS = [(q, p) for q in ("mvn_diag", "mvn_tril") for p in ("mvn", "mvn_tril")]


@pytest.mark.parametrize(("q_name", "p_name"), GAUSSIAN_PAIRS)
def test_kl_three_ways(q_name, p_name, figure):
    part = posterior(q_name, 4)
    q, p = part.distribution(features(part)), scrambled(prior(p_name, (4,))).distribution(None)
    kl = tfd.kl_divergence(q, p).numpy()
    error = np.abs(kl / hand_kl(q, p) - 1).max()
    figure(f"KL({q_name}, {p_name}), closed form against the hand formula, relative error", error, "below 1e-6")
    np.testing.assert_allclose(kl, hand_kl(q, p), rtol=1e-6)
    z = q.sample(4000, seed=SEED)
    draws = (q.log_prob(z) - p.log_prob(z)).numpy()
    standard_error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    errors = np.abs(draws.mean(axis=0) - kl) / standard_error
    figure(f"KL({q_name}, {p_name}), closed form against 4000 samples, standard errors", errors.max(), "below 4")
    assert np.all(errors < 4)


@pytest.mark.parametrize(("q_name", "p_name"), GAUSSIAN_PAIRS)
def test_kl_of_an_image_does_not_depend_on_the_batch(q_name, p_name):
    part = posterior(q_name, 4)
    p, rows = scrambled(prior(p_name, (4,))).distribution(None), features(part, 7)
    together = tfd.kl_divergence(part.distribution(rows), p)
    alone = tf.concat([tfd.kl_divergence(part.distribution(rows[i : i + 1]), p) for i in range(7)], axis=0)
    assert together.shape == (7,)
    np.testing.assert_allclose(together, alone, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("mvn_diag", {}, 6),
        ("mvn_tril", {}, 9),
        ("iaf", {"context": 5}, 11),
        ("planar", {"steps": 2}, 6 + 2 * (3 + 3 + 1)),
        ("spline", {"context": 5}, 11),
        # Two steps of four reflections, two triangular matrices and an offset, of three columns and of two.
        ("sylvester", {"steps": 2, "reflections": 4}, 6 + 2 * (4 * 3 + 6 + 6 + 3)),
        ("sylvester", {"steps": 2, "reflections": 4, "columns": 2}, 6 + 2 * (4 * 3 + 3 + 3 + 2)),
        ("bernoulli", {}, 3),
        ("categorical", {}, 3),
        ("von_mises_fisher", {}, 4),
        ("power_spherical", {}, 4),
    ],
)
def test_params_size_by_hand(name, settings, expected):
    assert posterior(name, 3, **settings).params_size == expected


def test_full_covariance_head_weights_by_hand():
    head = keras.layers.Dense(posterior("mvn_tril", 3).params_size)
    head.build((None, 128))
    assert head.count_params() == (128 + 1) * 9


def test_iaf_weights_by_hand():
    # A step: kernels 3 x 16 and 16 x 6, biases 16 and 6, context kernel 4 x 16.
    count = sum(np.prod(weight.shape) for weight in posterior("iaf").weights)
    assert count == 2 * (3 * 16 + 16 + 16 * 6 + 6 + 4 * 16)


@pytest.mark.parametrize("name", ["mvn_diag", "mvn_tril"])
def test_gaussian_log_prob_equals_hand_formula(name):
    part = posterior(name)
    q = part.distribution(features(part))
    z = np.random.default_rng(8).normal(size=(6, 4, 3)).astype(np.float32)
    scale = np.asarray(tf.convert_to_tensor(q.scale.to_dense()), np.float64)
    residual = np.linalg.solve(scale, (z - q.mean().numpy())[..., np.newaxis].astype(np.float64))[..., 0]
    log_det = np.log(np.diagonal(scale, axis1=-2, axis2=-1)).sum(axis=-1)
    by_hand = -0.5 * (residual**2).sum(axis=-1) - log_det - 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(q.log_prob(z), by_hand, rtol=1e-5, atol=1e-5)


def test_mvn_tril_scale_is_lower_triangular_with_its_diagonal_above_the_floor():
    part = posterior("mvn_tril", 4, scale_floor=0.25)
    scale = part.distribution(features(part, size=30.0)).scale.to_dense().numpy()
    assert np.all(np.triu(scale, 1) == 0)
    assert np.diagonal(scale, axis1=-2, axis2=-1).min() == 0.25
    assert np.all(scale[:, np.tril_indices(4, -1)[0], np.tril_indices(4, -1)[1]] != 0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("hidden", [[], [12], [7, 12]])
def test_masked_network_depends_on_all_earlier_latents_and_no_others(reverse, hidden):
    size = 5
    network = scrambled(MaskedNetwork(size, 2, 2, hidden, "tanh", reverse, "network"))
    z, context = tf.constant([0.3, -0.2, 0.5, 0.1, -0.4]), tf.constant([0.2, -0.1])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([z, context])
        numbers = network.numbers(z, context)
    by_latent = tape.jacobian(numbers, z).numpy().reshape(2, size, size)
    earlier = np.tril(np.ones((size, size), bool), -1)
    earlier = earlier[::-1, ::-1] if reverse else earlier
    for jacobian in by_latent:
        np.testing.assert_array_equal(jacobian != 0, earlier)
    assert np.all(tape.jacobian(numbers, context).numpy() != 0)


def test_iaf_steps_by_hand():
    part = scrambled(posterior("iaf", 3, steps=3, scale_floor=0.01))
    rows = features(part)
    loc, raw_scale, context = np.split(rows.numpy().astype(float), [3, 6], axis=-1)
    noise = np.random.default_rng(2).normal(size=(4, 3))
    z = loc + (0.01 + np.log1p(np.exp(raw_scale))) * noise
    log_q = np.sum(-0.5 * noise**2 - 0.5 * np.log(2 * np.pi) - np.log(0.01 + np.log1p(np.exp(raw_scale))), axis=-1)
    for network in part.networks:
        m, s = np.split(network.numbers(np.float32(z), np.float32(context)).numpy().astype(float), 2, axis=-1)
        gate = 0.01 + 0.99 / (1 + np.exp(-s - 2))
        z, log_q = gate * z + (1 - gate) * m, log_q - np.log(gate).sum(axis=-1)
    np.testing.assert_allclose(part.distribution(rows).log_prob(np.float32(z)), log_q, rtol=1e-4)


def test_iaf_log_determinant_equals_the_autodiff_jacobian():
    part = scrambled(posterior("iaf", 5, steps=3))
    flow = part.distribution(features(part, 1)).bijector
    z = tf.constant(np.random.default_rng(2).normal(size=(1, 5)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = flow.forward(z)
    jacobian = tape.jacobian(y, z)[0, :, 0].numpy().astype(float)
    assert np.all(jacobian != 0)  # three steps whose order turns couple all latents
    np.testing.assert_allclose(flow.forward_log_det_jacobian(z, 1), [np.linalg.slogdet(jacobian)[1]], rtol=1e-5)
    foreign = tf.identity(y)
    np.testing.assert_allclose(flow.inverse(foreign), z, atol=1e-5)
    np.testing.assert_allclose(
        flow.inverse_log_det_jacobian(foreign, 1), -flow.forward_log_det_jacobian(z, 1), rtol=1e-4
    )


def test_iaf_density_integrates_to_one():
    part = scrambled(posterior("iaf", 2))
    q = part.distribution(features(part, 1))
    axis = np.linspace(-12, 12, 481, dtype=np.float32)
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 1, 2)
    density = np.exp(q.log_prob(z).numpy().astype(float)[:, 0])
    # The trapezoid rule's error on a smooth density is far below the tolerance; it comes from float32.
    assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1.0, abs=1e-3)


def test_iaf_mean_is_that_of_its_samples_and_does_not_depend_on_the_batch():
    part = scrambled(posterior("iaf"), 1.0)
    rows = features(part, 8)
    q = part.distribution(rows)
    z = q.sample(4000, seed=SEED).numpy()
    # 64 draws against 4000: the standard error of their difference, without the gain of the pairs.
    bound = 4 * z.std(axis=0, ddof=1) * np.sqrt(1 / 64 + 1 / 4000)
    mean = q.mean().numpy()
    assert mean.shape == (8, 3)
    assert np.all(np.abs(mean - z.mean(axis=0)) < bound)
    through_the_base_mean = q.bijector.forward(q.distribution.mean())
    assert np.any(np.abs(through_the_base_mean - z.mean(axis=0)) > bound)
    np.testing.assert_allclose(part.distribution(rows[2:3]).mean(), mean[2:3], rtol=1e-5)


def test_spatial_kl_equals_the_kl_of_the_flattened_latent():
    part, flat = posterior("mvn_diag", 3), posterior("mvn_diag", 2 * 5 * 3)
    rows = features(part, grid=(2, 5))
    loc, raw_scale = (tf.reshape(half, (4, 30)) for half in tf.split(rows, 2, axis=-1))
    q, q_flat = part.distribution(rows), flat.distribution(tf.concat([loc, raw_scale], axis=-1))
    kl = tfd.kl_divergence(q, prior("mvn", (2, 5, 3)).distribution(None))
    assert kl.shape == (4,)
    np.testing.assert_allclose(kl, tfd.kl_divergence(q_flat, prior("mvn", (30,)).distribution(None)), rtol=1e-6)


ACTIVATIONS = {
    "exp": np.exp,
    "sqrt_exp": lambda raw: np.sqrt(np.exp(raw)),
    "softplus": lambda raw: np.log1p(np.exp(raw)),
}


def diagonal(raw, activation, raw_scale_range=None):
    """mvn_diag with loc 0 and this unconstrained scale."""
    posterior = MVNDiag(len(raw), activation, raw_scale_range, scale_floor=1e-5)
    return posterior.distribution(tf.concat([tf.zeros(len(raw)), raw], axis=0)[tf.newaxis])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mvn_diag_scale_is_the_activation_of_its_features(activation):
    """The second half of the features is the unconstrained scale; the log-variance for sqrt_exp alone."""
    raw = np.linspace(-3, 3, 7, dtype=np.float32)
    expected = 1e-5 + ACTIVATIONS[activation](raw)
    np.testing.assert_allclose(diagonal(raw, activation).stddev()[0], expected, rtol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_scales_of_the_other_posteriors_are_the_activation_of_theirs(activation):
    part = posterior("iaf", scale_activation=activation)
    rows = features(part)
    found = part.distribution(rows).distribution.stddev()
    np.testing.assert_allclose(found, 1e-5 + ACTIVATIONS[activation](rows.numpy()[:, 3:6]), rtol=1e-5)
    part = posterior("mvn_tril", scale_activation=activation)
    rows = features(part)
    raw = tf.linalg.diag_part(tfp.math.fill_triangular(rows[:, 3:])).numpy()
    found = tf.linalg.diag_part(part.distribution(rows).scale.to_dense())
    np.testing.assert_allclose(found, 1e-5 + ACTIVATIONS[activation](raw), rtol=1e-5)


def test_mvn_diag_clips_its_features_to_their_range_and_gives_no_gradient_beyond():
    raw = tf.constant([-9.0, -6.0, 0.0, 1.9, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(raw)
        scale = diagonal(raw, "sqrt_exp", [-6.0, 2.0]).stddev()[0]
    np.testing.assert_allclose(scale, 1e-5 + np.exp([-3.0, -3.0, 0.0, 0.95, 1.0]), rtol=1e-6)
    assert (tape.gradient(scale, raw).numpy() != 0).tolist() == [False, True, True, True, False]
