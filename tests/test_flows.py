"""Flows: determinants, inverses, densities, and the models that they contain."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.config import compose, options, parts
from vae_lab.errors import UsageError
from vae_lab.layers.coupling import AffineCoupling, SplineCoupling
from vae_lab.layers.rational_quadratic import RationalQuadratic
from vae_lab.layers.tanh_root import slope_at, tanh_root
from vae_lab.posterior.planar import PlanarStep, corrected
from vae_lab.posterior.sylvester import SylvesterStep, reflections, triangular

tfb = tfp.bijectors
tfd = tfp.distributions

SEED = tf.constant([3, 5])
SMALL = {
    "planar": {"steps": 3},
    "sylvester": {"steps": 2, "reflections": 3},
    "spline": {"couplings": 3, "bins": 5, "hidden": [8], "context": 4},
}
FLOWS = sorted(SMALL)


def make(axis, name, small, **settings):
    keras.utils.set_random_seed(1)
    return parts.make({**compose.plain(options.read_option(axis, name)), **small}, **settings)


def posterior(name, latent_size=3, **settings):
    return make("posterior", name, {**SMALL[name], **settings}, latent_size=latent_size)


def prior(latent_size=2, **settings):
    small = {"couplings": 4, "bins": 5, "hidden": [6], **settings}
    return make("prior", "spline", small, latent_shape=(latent_size,))


def scrambled(part, spread=0.25):
    """The part with weights far from where they start; twice as far, splines are too steep for grid and float32."""
    rng = np.random.default_rng(6)
    for weight in part.weights:
        weight.assign(rng.normal(size=weight.shape) * spread)
    return part


def dense(*shape, seed=0, size=1.0):
    return np.random.default_rng(seed).normal(size=shape) * size


def draws(*shape, size=1.0, seed=0):
    return tf.constant(dense(*shape, seed=seed, size=size), tf.float32)


def features(part, rows=4, size=1.0):
    return draws(rows, part.params_size, size=size)


# The root that planar and Sylvester flows are inverted by.

SLOPES = [1e-3, 0.01, 0.1, 0.5, 0.99, 1.0, 1.5, 3.0, 10.0, 100.0, 1e3, 1e5]


@pytest.mark.parametrize("slope", SLOPES)
def test_tanh_root_solves_its_equation_to_the_last_bits(slope, figure):
    target = np.concatenate([np.logspace(-6, 6, 2000), -np.logspace(-6, 6, 2000), [0.0]]).astype(np.float32)
    y = tanh_root(tf.constant(target), tf.constant(slope, tf.float32)).numpy().astype(float)
    left = np.abs(y + (np.float32(slope) - 1.0) * np.tanh(y) - target)
    bits = left / np.spacing(np.float32(np.abs(target) + abs(slope - 1.0) * np.abs(np.tanh(y))))
    figure(f"Residual of the flows' root at slope {slope:g}, in last bits of its terms", bits.max(), "at most 4")
    assert bits.max() <= 4


def test_tanh_root_derivatives_are_those_of_the_equation():
    """dy/dtarget = 1 / f'(y), dy/dslope = -tanh(y) / f'(y)."""
    target, slope = tf.meshgrid(tf.linspace(-4.0, 4.0, 41), tf.constant([0.05, 0.5, 1.0, 2.0, 20.0]))
    with tf.GradientTape() as tape:
        tape.watch([target, slope])
        y = tanh_root(target, slope)
    by_target, by_slope = tape.gradient(y, [target, slope])
    y, slope = y.numpy().astype(float), slope.numpy().astype(float)
    derivative = 1 + (slope - 1) / np.cosh(y) ** 2
    np.testing.assert_allclose(by_target, 1 / derivative, rtol=1e-4)
    np.testing.assert_allclose(by_slope, -np.tanh(y) / derivative, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(slope_at(tf.tanh(y), slope), derivative, rtol=1e-12)


# Every posterior by a flow.


@pytest.mark.parametrize("latent_size", [2, 3, 6])
@pytest.mark.parametrize("name", FLOWS)
def test_log_determinant_equals_the_autodiff_jacobian(name, latent_size, figure):
    part = scrambled(posterior(name, latent_size))
    flow = part.distribution(features(part)).bijector
    z = draws(4, latent_size, seed=2)
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = flow.forward(z)
    jacobian = tape.batch_jacobian(y, z).numpy().astype(float)
    error = np.abs(flow.forward_log_det_jacobian(z, 1) - np.linalg.slogdet(jacobian)[1]).max()
    figure(f"{name}, {latent_size} latents: log-determinant against the autodiff Jacobian, nats", error, "below 1e-4")
    assert error < 1e-4
    foreign = tf.constant(y.numpy())
    with tf.GradientTape() as tape:
        tape.watch(foreign)
        back = flow.inverse(foreign)
    inverse = tape.batch_jacobian(back, foreign).numpy().astype(float)
    np.testing.assert_allclose(
        flow.inverse_log_det_jacobian(foreign, 1), np.linalg.slogdet(inverse)[1], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(jacobian @ inverse, np.broadcast_to(np.eye(latent_size), jacobian.shape), atol=2e-3)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("name", FLOWS)
def test_round_trip(name, mode, figure):
    """Of values that no cache knows, which are new constants."""
    part = scrambled(posterior(name, 6))
    rows, z = features(part, 20), draws(8, 20, 6, seed=2)

    def forward(z):
        return part.distribution(rows).bijector.forward(z)

    def inverse(y):
        return part.distribution(rows).bijector.inverse(y)

    if mode != "eager":
        forward, inverse = (tf.function(function, jit_compile=mode == "xla") for function in (forward, inverse))
    y = forward(z)
    error = np.abs(inverse(tf.constant(y.numpy())) - z).max()
    figure(f"{name}, 6 latents, {mode}: z to the inverse of its image, largest distance", error, "below 1e-4")
    assert error < 1e-4
    assert np.abs(y - z).max() > 0.5


@pytest.mark.parametrize("name", FLOWS)
def test_density_integrates_to_one_and_samples_have_its_entropy(name, figure):
    part = scrambled(posterior(name, 2))
    q = part.distribution(features(part, 1))
    z = q.sample(20000, seed=SEED)
    low, high = z.numpy().min() - 4, z.numpy().max() + 4
    axis = np.linspace(low, high, 1201, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 1, 2)
    log_q = np.concatenate([q.log_prob(part_of) for part_of in np.array_split(grid, 10)])[:, 0].astype(float)
    density, cell = np.exp(log_q), ((high - low) / 1200) ** 2
    figure(f"Integral over the plane of the posterior {name}", density.sum() * cell, "1 ± .001")
    assert density.sum() * cell == pytest.approx(1.0, abs=1e-3)
    at_samples = q.log_prob(tf.constant(z.numpy())).numpy().astype(float)
    standard_error = at_samples.std(ddof=1) / np.sqrt(len(at_samples))
    assert abs(at_samples.mean() - np.sum(density * log_q) * cell) < 4 * standard_error
    # The share of samples on each side of the mean in both latents, by the density and by the samples.
    below = np.all(grid[:, 0] < z.numpy().mean(axis=(0, 1)), axis=-1)
    expected = np.sum(density[below]) * cell
    found = np.mean(np.all(z.numpy()[:, 0] < z.numpy().mean(axis=(0, 1)), axis=-1))
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / len(z))


@pytest.mark.parametrize("name", FLOWS)
def test_no_steps_are_the_diagonal_gaussian(name):
    """The same samples, and the same density of them."""
    none = {"couplings": 0} if name == "spline" else {"steps": 0}
    part, diagonal = posterior(name, **none), make("posterior", "mvn_diag", {}, latent_size=3)
    rows = features(part)
    q, expected = part.distribution(rows), diagonal.distribution(rows[:, :6])
    z = expected.sample(50, seed=SEED)
    np.testing.assert_allclose(q.sample(50, seed=SEED), z, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(q.log_prob(tf.constant(z.numpy())), expected.log_prob(z), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_that_starts_at_zero_is_the_diagonal_gaussian(name):
    """Planar: u = 0. Sylvester: R = 0. Spline: couplings whose weights are zero."""
    part = posterior(name)
    rows = features(part).numpy()
    if name == "spline":
        scrambled(part, 0.0)
    else:
        of_steps = rows[:, 6:].reshape(4, part.steps, -1)
        start = 3 if name == "planar" else part.step_sizes[0]
        of_steps[:, :, start : start + part.step_sizes[1]] = 0.0
        rows = np.concatenate([rows[:, :6], of_steps.reshape(4, -1)], axis=1)
    q = part.distribution(tf.constant(rows))
    expected = make("posterior", "mvn_diag", {}, latent_size=3).distribution(tf.constant(rows[:, :6]))
    z = expected.sample(50, seed=SEED)
    np.testing.assert_allclose(q.sample(50, seed=SEED), z, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(q.log_prob(tf.constant(z.numpy())), expected.log_prob(z), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", FLOWS)
def test_mean_is_that_of_the_samples_and_does_not_depend_on_the_batch(name):
    part = scrambled(posterior(name))
    rows = features(part, 8)
    q = part.distribution(rows)
    z = q.sample(4000, seed=SEED).numpy()
    # 64 draws against 4000: the standard error of their difference, without the gain of the pairs.
    assert np.all(np.abs(q.mean() - z.mean(axis=0)) < 4 * z.std(axis=0, ddof=1) * np.sqrt(1 / 64 + 1 / 4000))
    np.testing.assert_allclose(part.distribution(rows[2:3]).mean(), q.mean()[2:3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FLOWS)
def test_every_latent_depends_on_every_noise(name):
    part = scrambled(posterior(name, 6))
    z = draws(1, 6, seed=2)
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = part.distribution(features(part, 1)).bijector.forward(z)
    assert np.all(tape.batch_jacobian(y, z).numpy() != 0)


# The estimators.

FOREIGN = ("sticking_the_landing", "doubly_reparameterized")


def overrides(name):
    small = {"planar": ["steps=3"], "sylvester": ["steps=2"], "spline": ["hidden=[8]", "context=4", "couplings=2"]}
    return [f"posterior={name}", *(f"posterior.{word}" for word in small[name]), "training.jit=false"]


@pytest.mark.parametrize("estimator", ["monte_carlo", "importance_weighted", "multiply_importance_weighted", *FOREIGN])
@pytest.mark.parametrize("name", FLOWS)
def test_every_estimator_gives_every_weight_a_gradient(program, name, estimator):
    if name == "sylvester" and estimator in FOREIGN:
        with pytest.raises(UsageError, match=r"posterior=sylvester gives one latent at a time"):
            compose.compose(*overrides(name), f"estimator={estimator}")
        return
    cfg, pixels, built = program(*overrides(name), f"estimator={estimator}", "estimator.samples=2", "prior=spline")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    x = tf.cast(images[:6], tf.float32) / (levels - 1)
    with tf.GradientTape() as tape:
        terms = parts.make(cfg.options["estimator"])(built.model, x, tf.constant([0, 1]))
        loss = tf.reduce_mean(terms.loss)
    assert all(np.all(np.isfinite(term)) for term in terms)
    weights = built.model.trainable_variables
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert gradient is not None, weight.path
        assert np.all(np.isfinite(gradient)), weight.path
        assert np.any(gradient.numpy() != 0), weight.path


def gradient_of_the_encoder(estimate, model, pixels):
    """A function of the seed, at weights that are the same for every model of these shapes."""
    for weight in model.weights:
        weight.assign(dense(*weight.shape, seed=len(weight.shape), size=0.3))
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    x = tf.cast(images[:4], tf.float32) / (levels - 1)

    @tf.function
    def gradient(seed):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(estimate(model, x, seed).loss)
        found = tape.gradient(loss, model.encoder.trainable_variables)
        return tf.concat([tf.reshape(part, [-1]) for part in found], axis=0)

    return gradient


@pytest.mark.parametrize("estimator", FOREIGN)
@pytest.mark.parametrize("name", ["planar", "spline"])
def test_path_gradients_have_the_mean_of_the_plain_one(program, name, estimator, figure):
    """K = 1: paired differences of the gradient's projections over 200 seeds, with t below 4.

    The projections are on the gradient's mean and on four fixed directions.
    """
    found = {}
    for option in ("importance_weighted", estimator):
        cfg, pixels, built = program(*overrides(name), f"estimator={option}", "estimator.samples=1")
        gradient = gradient_of_the_encoder(parts.make(cfg.options["estimator"]), built.model, pixels)
        found[option] = np.array([gradient(tf.constant([7, draw])).numpy().astype(float) for draw in range(200)])
    plain, path = found.values()
    directions = np.vstack([plain.mean(axis=0), dense(4, plain.shape[1], seed=3)])
    difference = (path - plain) @ directions.T
    t = np.abs(difference.mean(axis=0)) / (difference.std(axis=0, ddof=1) / np.sqrt(len(difference)))
    figure(f"Largest paired t, {estimator} against the plain gradient, posterior={name}, K = 1", t.max(), "below 4")
    assert np.all(difference.std(axis=0) > 0)
    assert t.max() < 4


# Planar.


def test_planar_steps_by_hand():
    part = posterior("planar", slope_floor=0.01, scale_floor=0.02)
    rows = features(part)
    numbers = rows.numpy().astype(float)
    scale = 0.02 + np.log1p(np.exp(numbers[:, 3:6]))
    noise = np.random.default_rng(2).normal(size=(4, 3))
    z = numbers[:, :3] + scale * noise
    log_q = np.sum(-0.5 * noise**2 - 0.5 * np.log(2 * np.pi) - np.log(scale), axis=-1)
    for step in np.split(numbers[:, 6:], 3, axis=1):
        w, u, b = step[:, :3], step[:, 3:6], step[:, 6]
        along = np.sum(w * u, axis=1)
        wanted = 0.01 + np.log1p(np.exp(along + np.log(np.expm1(0.99)))) - 1
        u = u + ((wanted - along) / np.sum(w * w, axis=1))[:, np.newaxis] * w
        tanh = np.tanh(np.sum(w * z, axis=1) + b)
        log_q -= np.log(1 + (1 - tanh**2) * np.sum(w * u, axis=1))
        z = z + u * tanh[:, np.newaxis]
    np.testing.assert_allclose(part.distribution(rows).log_prob(np.float32(z)), log_q, rtol=1e-4)


@pytest.mark.parametrize("size", [0.01, 1.0, 10.0])
def test_planar_steps_are_invertible_whatever_the_encoder_says(size):
    w, u = draws(1000, 4, size=size), draws(1000, 4, size=size, seed=1)
    fixed, slope = corrected(w, u, 1e-3)
    assert np.any(np.sum(w * u, axis=1) < -1) == (size >= 1)
    assert slope.numpy().min() >= 1e-3
    # w'u^ is a difference of numbers as large as w'u.
    bound = 4e-6 * (1 + np.sum(np.abs(w * u), axis=1))
    assert np.all(np.abs(1 + np.sum(w * fixed, axis=1) - slope[:, 0]) < bound)
    unchanged = u - w * (np.sum(w * u, axis=1) / np.sum(w * w, axis=1))[:, np.newaxis]
    across = fixed - w * (np.sum(w * fixed, axis=1) / np.sum(w * w, axis=1))[:, np.newaxis]
    np.testing.assert_allclose(across, unchanged, atol=1e-4 * size)


def test_planar_step_without_a_direction_is_a_shift_with_a_gradient():
    w, u = tf.zeros((1, 3)), draws(1, 3)
    with tf.GradientTape() as tape:
        tape.watch([w, u])
        fixed, slope = corrected(w, u, 1e-3)
        y = PlanarStep(w, fixed, slope, tf.constant([[0.4]])).forward(draws(1, 3, seed=2))
    np.testing.assert_allclose(y, draws(1, 3, seed=2) + u * np.tanh(0.4), rtol=1e-6)
    assert slope.numpy() == pytest.approx(1.0, abs=1e-6)
    assert all(np.all(np.isfinite(part)) for part in tape.gradient(y, [w, u]))


@pytest.mark.parametrize("slope_floor", [1e-3, 0.1])
def test_planar_step_at_its_floor_is_inverted_as_far_as_float32_goes(slope_floor):
    """w'u far below -1: the step's slope at its middle is the floor, by which rounding errors are divided."""
    w = tf.constant([[1.0, 0.0]])
    fixed, slope = corrected(w, tf.constant([[-30.0, 0.5]]), slope_floor)
    assert slope.numpy() == pytest.approx(slope_floor, rel=1e-3)
    step = PlanarStep(w, fixed, slope, tf.zeros((1, 1)))
    z = tf.stack([tf.linspace(-2.0, 2.0, 401), tf.zeros(401)], axis=-1)
    assert np.all(np.diff(step.forward(z).numpy()[:, 0]) > 0)
    np.testing.assert_allclose(step.inverse(tf.constant(step.forward(z).numpy())), z, atol=1e-6 / slope_floor)


# Sylvester.


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_reflections_are_the_product_of_householder_matrices(count):
    v = dense(3, count, 5)
    v[1, 0] = 0.0  # no direction, no reflection
    product = np.tile(np.eye(5), (3, 1, 1))
    for one in range(count):
        for row in range(3):
            square = v[row, one] @ v[row, one]
            if square:
                product[row] = product[row] @ (np.eye(5) - 2 * np.outer(v[row, one], v[row, one]) / square)
    u, w = reflections(tf.constant(v, tf.float32))
    found = np.eye(5) - np.swapaxes(u, -1, -2) @ w
    np.testing.assert_allclose(found, product, atol=3e-6)
    np.testing.assert_allclose(np.swapaxes(found, -1, -2) @ found, np.tile(np.eye(5), (3, 1, 1)), atol=3e-6)


def test_reflections_without_a_direction_have_a_finite_gradient():
    v = tf.zeros((1, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(v)
        u, w = reflections(v)
    assert np.all(np.isfinite(tape.gradient([u, w], v)))
    assert not np.any(u)
    assert not np.any(w)


@pytest.mark.parametrize("size", [0.1, 1.0, 100.0])
def test_sylvester_steps_are_invertible_whatever_the_encoder_says(size):
    part = posterior("sylvester", 5, slope_floor=0.01)
    raw = [draws(500, 15, size=size, seed=seed) for seed in (1, 2)]
    r, s = (triangular(one, part.limit).numpy() for one in raw)
    assert not np.any(np.tril(r, -1))
    assert not np.any(np.tril(s, -1))
    product = np.diagonal(r, axis1=1, axis2=2) * np.diagonal(s, axis1=1, axis2=2)
    assert product.min() >= -0.99 - 1e-6
    assert (product.min() < -0.98) == (size == 100.0)
    assert np.all(r[:, np.triu_indices(5, 1)[0], np.triu_indices(5, 1)[1]] != 0)


@pytest.mark.parametrize("columns", [None, 2])
def test_sylvester_steps_by_hand(columns):
    part = posterior("sylvester", 4, columns=columns, slope_floor=0.01, scale_floor=0.02)
    rows, size = features(part), columns or 4
    numbers = rows.numpy().astype(float)
    scale = 0.02 + np.log1p(np.exp(numbers[:, 4:8]))
    noise = dense(4, 4, seed=2)
    start = numbers[:, :4] + scale * noise
    log_q = np.sum(-0.5 * noise**2 - 0.5 * np.log(2 * np.pi) - np.log(scale), axis=-1)
    ends = []
    for row in range(4):
        z = start[row]
        for step in np.split(numbers[row, 8:], 2):
            v, raw_r, raw_s, b = np.split(step, np.cumsum(part.step_sizes)[:-1])
            turn = np.eye(4)
            for one in v.reshape(3, 4):
                turn = turn @ (np.eye(4) - 2 * np.outer(one, one) / (one @ one))
            turn = turn[:, :size]
            r, s = (np.array(tfp.math.fill_triangular(raw, upper=True)) for raw in (raw_r, raw_s))
            for matrix in (r, s):
                np.fill_diagonal(matrix, np.sqrt(0.99) * np.tanh(np.diag(matrix)))
            tanh = np.tanh(s @ turn.T @ z + b)
            jacobian = np.eye(4) + turn @ r @ np.diag(1 - tanh**2) @ s @ turn.T
            log_q[row] -= np.linalg.slogdet(jacobian)[1]
            z = z + turn @ r @ tanh
        ends.append(z)
    q = part.distribution(rows)
    np.testing.assert_allclose(q.bijector.forward(np.float32(start)), ends, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(q.log_prob(np.float32(ends)), log_q, rtol=1e-4, atol=1e-4)


def test_sylvester_with_one_column_is_planar():
    """z + q r tanh(s q'z + b) is the planar step with w = s q and u^ = r q."""
    v, z = draws(4, 3, 5), draws(7, 4, 5, seed=2)
    r, s, b = tf.constant([[0.5], [-0.7], [0.9], [-0.3]]), tf.constant([[0.8], [0.6], [-0.4], [0.9]]), draws(4, 1)
    u, w = reflections(v)
    column = np.eye(5)[:, :1] - np.swapaxes(u, -1, -2) @ w[..., :1]
    sylvester = SylvesterStep(u, w, r[..., tf.newaxis], s[..., tf.newaxis], b)
    direction = tf.constant(column[..., 0], tf.float32)
    planar = PlanarStep(s * direction, r * direction, 1.0 + r * s, b)
    y = sylvester.forward(z)
    np.testing.assert_allclose(y, planar.forward(z), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        sylvester.forward_log_det_jacobian(z, 1), planar.forward_log_det_jacobian(z, 1), rtol=1e-4, atol=1e-6
    )
    foreign = tf.constant(y.numpy())
    np.testing.assert_allclose(sylvester.inverse(foreign), planar.inverse(foreign), rtol=1e-4, atol=1e-5)


# Splines.


def spline(spread=1.0, shape=(50,), bins=6, bound=3.0, seed=0):
    return RationalQuadratic(draws(*shape, 3 * bins - 1, size=spread, seed=seed), bound)


def tfp_spline(one):
    """TFP's, of the same knots."""
    x, y = one._x, one._y
    return tfb.RationalQuadraticSpline(
        x[..., 1:] - x[..., :-1], y[..., 1:] - y[..., :-1], one._slopes[..., 1:-1], range_min=-3.0
    )


def test_spline_equals_tfp_between_knots():
    one, x = spline(), tf.constant(np.random.default_rng(1).uniform(-4, 4, size=(200, 50)), tf.float32)
    other = tfp_spline(one)
    np.testing.assert_allclose(one.forward(x), other.forward(x), atol=1e-5)
    np.testing.assert_allclose(one.inverse(x), other.inverse(x), atol=2e-4)
    log_slope = one.forward_log_det_jacobian(x, 0)
    np.testing.assert_allclose(log_slope, other.forward_log_det_jacobian(x, 0), atol=1e-3)


def test_spline_has_its_slopes_at_the_knots_in_both_directions():
    """TFP's inverse has gradient 0 there."""
    one = spline(shape=())
    slopes = one._slopes.numpy()

    def gradients(bijector, knots, function):
        places = tf.constant(knots.numpy())
        with tf.GradientTape() as tape:
            tape.watch(places)
            values = getattr(bijector, function)(places)
        return tape.gradient(values, places).numpy()

    np.testing.assert_allclose(gradients(one, one._x, "forward"), slopes, rtol=1e-3)
    np.testing.assert_allclose(gradients(one, one._y, "inverse"), 1 / slopes, rtol=1e-3)
    assert np.count_nonzero(gradients(tfp_spline(one), one._y, "inverse")) < len(slopes)


def test_spline_leaves_the_tails_alone_and_their_gradient_too():
    one = spline(shape=())
    x = tf.constant([-1e30, -1e10, -100.0, -3.0, 3.0, 3.1, 1e10, 1e30])
    for function in (one.forward, one.inverse):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(tape.gradient(y, x), np.ones(8))
    np.testing.assert_array_equal(one.forward_log_det_jacobian(x, 0), np.zeros(8))


@pytest.mark.parametrize("spread", [0.5, 2.0, 8.0])
def test_spline_increases_and_is_inverted_as_far_as_float32_goes(spread, figure):
    """Each way rounds some five numbers of the bound's size; their last bits come back divided by the slope."""
    one = spline(spread, shape=(300,))
    x = tf.sort(tf.constant(np.random.default_rng(1).uniform(-3, 3, size=(100, 300)), tf.float32), axis=0)
    y = one.forward(x).numpy()
    slope = np.exp(one.forward_log_det_jacobian(x, 0).numpy().astype(float))
    assert np.diff(y, axis=0).min() >= -np.spacing(np.float32(3.0))
    bits = np.abs(one.inverse(tf.constant(y)) - x) / (np.spacing(np.float32(3.0)) * (1 + 1 / slope))
    figure(f"Spline of raw numbers of size {spread:g}: inverse of its values, in last bits", bits.max(), "at most 10")
    assert bits.max() <= 10
    if spread == 0.5:
        assert np.abs(one.inverse(tf.constant(y)) - x).max() < 1e-4


def test_spline_gradients_by_its_numbers_agree_between_the_directions():
    """x = inverse(forward(x)) for all numbers: dx/draw through both is 0."""
    raw, x = draws(50, 17), tf.constant(np.random.default_rng(1).uniform(-2.9, 2.9, size=50), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(raw)
        one = RationalQuadratic(raw, 3.0)
        y = one._forward(x)
        back = one._inverse(y)
        of_inverse = one._inverse(tf.stop_gradient(y))
    scale = np.abs(tape.gradient(of_inverse, raw)).max()
    assert scale > 0.1
    np.testing.assert_allclose(tape.gradient(back, raw), np.zeros((50, 17)), atol=1e-4 * scale)


@pytest.mark.parametrize("kind", ["affine", "spline"])
def test_coupling_whose_weights_are_zero_is_the_identity(kind):
    keep = {"hidden": [7], "activation": "tanh", "reverse": True, "name": "coupling"}
    part = AffineCoupling(5, scale_floor=1e-3, **keep) if kind == "affine" else SplineCoupling(5, 8, 4.0, **keep)
    z, flow = draws(50, 5, size=3.0), scrambled(part, 0.0).bijector()
    np.testing.assert_allclose(flow.forward(z), z, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(flow.inverse(tf.constant(z.numpy())), z, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(flow.forward_log_det_jacobian(z, 1), np.zeros(50), atol=2e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_coupling_keeps_a_half_and_moves_the_other_by_it_and_the_context(reverse):
    part = scrambled(SplineCoupling(5, 4, 3.0, [7], "tanh", reverse, "coupling", context=2))
    z, context = draws(5), draws(2, seed=1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([z, context])
        y = part.bijector(context).forward(z)
    jacobian, by_context = tape.jacobian(y, z).numpy() != 0, tape.jacobian(y, context).numpy() != 0
    kept = np.arange(5) >= 2 if reverse else np.arange(5) < 2
    np.testing.assert_array_equal(jacobian, np.eye(5, dtype=bool) | np.outer(~kept, kept))
    np.testing.assert_array_equal(by_context, np.outer(~kept, [True, True]))
    np.testing.assert_array_equal(y.numpy()[kept], z.numpy()[kept])


def test_spline_prior_integrates_to_one_and_its_samples_have_its_entropy(figure):
    p = scrambled(prior(), 0.5).distribution(None)
    axis = np.linspace(-9, 9, 1501, dtype=np.float32)
    log_p = p.log_prob(np.stack(np.meshgrid(axis, axis), axis=-1)).numpy().astype(float)
    density, cell = np.exp(log_p), (18 / 1500) ** 2
    figure("Integral of the spline prior over the plane", density.sum() * cell, "1 ± .001")
    assert density.sum() * cell == pytest.approx(1.0, abs=1e-3)
    z = p.sample(20000, seed=SEED)
    at_samples = p.log_prob(tf.constant(z.numpy())).numpy().astype(float)
    standard_error = at_samples.std(ddof=1) / np.sqrt(len(at_samples))
    assert abs(at_samples.mean() - np.sum(density * log_p) * cell) < 4 * standard_error
    gaussian = tfd.MultivariateNormalDiag([0.0, 0.0]).log_prob(z).numpy()
    assert np.abs(at_samples - gaussian).mean() > 0.1


def test_spline_prior_log_determinant_equals_the_autodiff_jacobian():
    flow = scrambled(prior(5)).distribution(None).bijector
    z = draws(6, 5)
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = flow.forward(z)
    jacobian = tape.batch_jacobian(y, z).numpy().astype(float)
    np.testing.assert_allclose(
        flow.forward_log_det_jacobian(z, 1), np.linalg.slogdet(jacobian)[1], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(flow.inverse(tf.constant(y.numpy())), z, atol=1e-4)
    assert np.all(jacobian != 0)


@pytest.mark.parametrize(("axis", "name"), [("posterior", "spline"), ("prior", "spline"), ("prior", "flow")])
def test_least_latents_fact_is_true(axis, name):
    assert compose.plain(options.read_option(axis, name))["facts"]["least_latents"] == 2
    for size, legal in ((1, False), (2, True)):
        latent = {"latent_size": size} if axis == "posterior" else {"latent_shape": (size,)}
        if legal:
            make(axis, name, {}, **latent)
        else:
            with pytest.raises(UsageError, match=f"{axis}={name} couples two halves of the latent"):
                make(axis, name, {}, **latent)


# What is refused before any work.

ILLEGAL = {
    "path gradient of a Sylvester flow": (
        ["posterior=sylvester", "estimator=doubly_reparameterized"],
        "estimator=doubly_reparameterized needs the posterior's density at latents it did not draw, which "
        "posterior=sylvester gives one latent at a time; use posterior=",
    ),
    "mixture of Sylvester flows": (
        ["posterior=sylvester", "estimator=monte_carlo", "prior=vamp"],
        "prior=vamp needs the posterior's density at latents it did not draw",
    ),
    "closed form of a planar flow": (
        ["posterior=planar"],
        "estimator=analytic_kl needs KL(posterior, prior) in closed form, which posterior=planar does not have",
    ),
    "spline of one latent": (
        ["posterior=spline", "estimator=monte_carlo", "latent_size=1"],
        "posterior=spline couples halves of the latent, and latent_size=1 has none; use latent_size=2 or more",
    ),
    "spline prior of one latent": (
        ["prior=spline", "estimator=monte_carlo", "latent_size=1"],
        "prior=spline couples halves of the latent, and latent_size=1 has none; use latent_size=2 or more",
    ),
    "flow on a grid": (
        ["encoder=conv_spatial", "decoder=conv_spatial", "posterior=planar", "estimator=monte_carlo"],
        "encoder=conv_spatial keeps the latent's grid, and posterior=planar needs a flat latent",
    ),
    "more columns than latents": (
        ["posterior=sylvester", "estimator=monte_carlo", "posterior.columns=30"],
        "posterior.columns=30 is more than latent_size=20; use at most that, or null for as many",
    ),
    "no column": (
        ["posterior=sylvester", "estimator=monte_carlo", "posterior.columns=0"],
        "posterior.columns=0 must be a whole number of at least 1",
    ),
    "no reflection": (
        ["posterior=sylvester", "estimator=monte_carlo", "posterior.reflections=0"],
        "posterior.reflections=0 must be a whole number of at least 1",
    ),
    "floor of the identity": (
        ["posterior=planar", "estimator=monte_carlo", "posterior.slope_floor=1"],
        "posterior.slope_floor=1 must be a number above 0 and below 1",
    ),
    "one bin": (
        ["posterior=spline", "estimator=monte_carlo", "posterior.bins=1"],
        "posterior.bins=1 must be a whole number of at least 2",
    ),
    "one bin of a prior": (
        ["prior=spline", "estimator=monte_carlo", "prior.bins=1"],
        "prior.bins=1 must be a whole number of at least 2",
    ),
    "no interval": (
        ["prior=spline", "estimator=monte_carlo", "prior.bound=0"],
        "prior.bound=0 must be a number above 0",
    ),
    "no coupling": (
        ["posterior=spline", "estimator=monte_carlo", "posterior.couplings=0"],
        "posterior.couplings=0 must be a whole number of at least 1",
    ),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal_configuration_is_refused_with_a_way_out(case):
    words, message = ILLEGAL[case]
    with pytest.raises(UsageError) as error:
        compose.compose(*words)
    assert message in str(error.value)
    assert str(error.value).count("\n") <= 1


@pytest.mark.parametrize("name", ["planar", "spline"])
@pytest.mark.parametrize("prior_name", ["vamp", "spline", "mixture"])
def test_flows_go_with_priors_of_all_kinds(program, name, prior_name):
    """What the facts allow works: finite terms, and a rate that is log q - log p."""
    cfg, pixels, built = program(*overrides(name), f"prior={prior_name}", "estimator=monte_carlo")
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    x = tf.cast(images[:3], tf.float32) / (levels - 1)
    terms = parts.make(cfg.options["estimator"])(built.model, x, tf.constant([0, 1]))
    q, p = built.model.encode(x), built.model.latent_prior()
    z = tf.constant(q.sample(1, seed=tf.constant([0, 1])).numpy())
    np.testing.assert_allclose(terms.rate, (q.log_prob(z) - p.log_prob(z))[0], rtol=1e-3, atol=1e-3)
