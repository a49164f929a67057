"""Distributions on the sphere: against high precision, quadrature, exact expectations and their own samples."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special
from test_pictures import posterior_mean, subject_of
from test_posterior import option, options, posterior, prior

from vae_lab.config import compose
from vae_lab.config.checks.facts import fact
from vae_lab.evaluation.latent import active_units, marginals
from vae_lab.evaluation.pictures.interpolations import interpolations
from vae_lab.evaluation.pictures.latent_grid import CELLS_A_SIDE, latent_grid, sphere_latents
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.evaluation.pictures.traversals import STEPS, traversal_latents
from vae_lab.layers import polar_angle
from vae_lab.layers.bessel import log_mean_exp_and_ratio
from vae_lab.layers.gaussian_mixture import gaussian_mixture
from vae_lab.layers.space import Reals, Sphere
from vae_lab.layers.sphere import TINY, direction_of, from_pole, log_area
from vae_lab.numerics import inverse_softplus
from vae_lab.posterior.power_spherical import PowerSphericalDistribution
from vae_lab.posterior.von_mises_fisher import VonMisesFisherDistribution

tfd = tfp.distributions

SEED = tf.constant([3, 5])
FAMILIES = {"von_mises_fisher": VonMisesFisherDistribution, "power_spherical": PowerSphericalDistribution}
MODES = {"eager": lambda f: f, "graph": tf.function, "xla": tf.function(jit_compile=True)}

# m, k, log E exp(k t) over the sphere of R^m, and I_{m/2}(k) / I_{m/2-1}(k), by mpmath 1.4.1 at mp.dps = 50:
# nu = m/2 - 1; log(besseli(nu, k)) + nu * log(2/k) + loggamma(nu + 1); besseli(nu + 1, k) / besseli(nu, k).
BESSEL = [
    (2, 0.001, 2.4999998437500174e-7, 0.00049999993750001042),
    (2, 1.0, 0.23591435850717865, 0.44638996589653451),
    (2, 10000.0, 9994.4759037814323, 0.99994999874987498),
    (3, 20.0, 16.311120545886064, 0.95000000000000001),
    (4, 0.5, 0.031088914094556154, 0.12371792827832073),
    (11, 1.0, 0.045296884654012397, 0.090280964114669712),
    (11, 20.0, 10.668602837374895, 0.7759778136555388),
    (11, 10000.0, 9960.1053358370646, 0.9995001000099965),
    (24, 1000.0, 944.70839798213014, 0.98856043363596879),
    (27, 5.0, 0.45585165453972496, 0.17960237651817573),
    (101, 100.0, 37.58085179765864, 0.61679081973625973),
    (1024, 1.0, 0.00048828101762351158, 0.00097656157049463499),
    (1024, 1000.0, 371.80737801613846, 0.61159996862410609),
    (1024, 10000.0, 8308.9584667312886, 0.95015488280018989),
    (1537, 50.0, 0.81284344501909359, 0.032496595340405614),
    (3000, 10000.0, 6582.1496399425962, 0.86122368933244781),
]
# m, k, a, and the derivative by k of the angle a at its fixed quantile, by mpmath at mp.dps = 50: with A that ratio and
# g(s) = exp(k cos s) sin(s)^(m-2), -quad((cos(s) - A) g(s) / g(a), [0, a]), which agreed to twelve digits with
# quad((cos(s) - A) g(s) / g(a), [a, pi]).
ANGLES = [
    (2, 1, 0.5, -0.278827224896),
    (2, 1, 3, -0.202966996072),
    (2, 10000, 0.02, -1.0000583405e-6),
    (3, 0.01, 1.2, -0.465453289649),
    (3, 100, 0.05, -0.000250052096357),
    (11, 20, 0.4, -0.00904273552073),
    (11, 20, 1.1, -0.0264052436456),
    (11, 10000, 0.04, -1.99986645595e-6),
    (512, 100, 1.2, -0.00164686284051),
    (1025, 10000, 0.32, -1.57153978903e-5),
]


def directions(rows, size, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(rows, size))
    return np.float32(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def distribution(name, size, concentration, rows=1):
    return FAMILIES[name](tf.constant(directions(rows, size)), tf.fill([rows], tf.constant(concentration, tf.float32)))


def cosine_density(name, size, k, nodes=20_001):
    """Angles and weights such that weights @ f(cos(angles)) is E f(mu'z), to far below float32, in float64.

    From the definition of the family alone: weights of sum 1, in proportion to the unnormalized density of the angle.
    """
    # The midpoint rule over where the density is: near 0 for a large k.
    share = (np.arange(nodes) + 0.5) / nodes
    wide = min(1.0, 40 * math.sqrt((size + 1) / (k + size)) / math.pi)
    angles = math.pi * wide * share
    tilt = k * (np.cos(angles) - 1) if name == "von_mises_fisher" else 2 * k * np.log(np.cos(angles / 2))
    log_density = tilt + (size - 2) * np.log(np.sin(angles))
    weights = np.exp(log_density - log_density.max())
    return angles, weights / weights.sum()


# Bessel functions.


def test_bessel_functions_meet_high_precision(figure):
    log_errors, ratio_errors, kl_errors = [], [], []
    for size, k, log_mean, ratio in BESSEL:
        found_log, found_ratio = (float(number) for number in log_mean_exp_and_ratio(size, tf.constant(k, tf.float64)))
        exact_kl = k * ratio - log_mean
        log_errors.append(abs(found_log - log_mean))
        ratio_errors.append(abs(found_ratio / ratio - 1))
        kl_errors.append(abs(k * found_ratio - found_log - exact_kl))
    figure("log I_v(k) without its leading power, v to 1499, k to 10^4, against mpmath, nats", max(log_errors), "1e-9")
    figure("I_{v+1}(k) / I_v(k), the same, relative error", max(ratio_errors), "below 1e-9")
    assert max(log_errors) < 1e-9
    assert max(ratio_errors) < 1e-9
    assert max(kl_errors) < 1e-6


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("size", [2, 3, 11, 24, 1024])
def test_derivatives_of_the_bessel_functions(size, jit):
    """The first is the ratio A, and the ratio's is 1 - A^2 - (m - 1) A / k, or 1 / m where k is 0."""
    k = tf.constant([0.0, 0.3, 1.0, 7.0, 50.0, 400.0], tf.float64)

    @tf.function(jit_compile=jit)
    def numbers(k):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(k)
            log_mean, ratio = log_mean_exp_and_ratio(size, k)
        return log_mean, ratio, tape.gradient(log_mean, k), tape.gradient(ratio, k)

    log_mean, ratio, by_log, by_ratio = (number.numpy() for number in numbers(k))
    np.testing.assert_allclose(by_log, ratio, rtol=1e-9)
    assert (abs(log_mean[0]) < 1e-15, ratio[0]) == (True, 0.0)
    assert by_ratio[0] == pytest.approx(1 / size, rel=1e-10)
    riccati = 1 - ratio[1:] ** 2 - (size - 1) * ratio[1:] / k[1:]
    np.testing.assert_allclose(by_ratio[1:], riccati, rtol=1e-6)


# Densities.


@pytest.mark.parametrize("k", [0.0, 0.7, 30.0, 3000.0])
@pytest.mark.parametrize("size", [2, 3, 11, 200])
@pytest.mark.parametrize("name", FAMILIES)
def test_density_kl_and_mean_meet_quadrature(name, size, k):
    q = distribution(name, size, k)
    angles, weights = cosine_density(name, size, k)
    mu = q.mean_direction.numpy()[0].astype(float)
    aside = np.linalg.svd(mu[np.newaxis])[2][1]
    z = np.cos(angles)[:, np.newaxis] * mu + np.sin(angles)[:, np.newaxis] * aside
    log_q = q.log_prob(np.float32(z[:, np.newaxis])).numpy().astype(float)[:, 0]
    # The surface measure of a ring at angle a is the area of the sphere one dimension below times sin(a)^(m-2) da.
    ring = math.log(2) if size == 2 else log_area(size - 1)
    step = angles[1] - angles[0]
    integral = np.sum(np.exp(log_q + ring + (size - 2) * np.log(np.sin(angles)))) * step
    assert integral == pytest.approx(1.0, abs=1e-4)
    expected = weights @ log_q
    kl, entropy = float(q.kl_divergence(tfd.SphericalUniform(size))[0]), float(q.entropy()[0])
    assert kl == pytest.approx(expected + log_area(size), abs=1e-5 * max(1.0, abs(log_area(size))))
    assert entropy == pytest.approx(log_area(size) - kl, rel=1e-6, abs=1e-6)
    cosine = q.mean().numpy()[0] @ q.mean_direction.numpy()[0]
    assert cosine == pytest.approx(weights @ np.cos(angles), abs=1e-5)
    np.testing.assert_allclose(q.mode(), q.mean_direction)


def test_von_mises_fisher_has_the_bessel_ratio_for_its_mean_and_kl(figure):
    errors = []
    for size, k in ((3, 4.0), (6, 1.0), (11, 20.0), (41, 60.0)):
        q = distribution("von_mises_fisher", size, k)
        order = size / 2 - 1
        ratio = special.ive(order + 1, k) / special.ive(order, k)
        by_hand = k * ratio + order * math.log(k) - size / 2 * math.log(2 * math.pi)
        by_hand += -math.log(special.ive(order, k)) - k + log_area(size)
        kl = float(q.kl_divergence(tfd.SphericalUniform(size))[0])
        np.testing.assert_allclose(q.mean()[0], ratio * q.mean_direction[0], rtol=2e-6, atol=1e-7)
        errors.append(abs(kl / by_hand - 1))
    figure(
        "KL(von_mises_fisher, uniform_sphere) against Davidson et al.'s formula, relative error", max(errors), "1e-6"
    )
    assert max(errors) < 1e-6


def test_power_spherical_kl_and_density_equal_tfps(figure):
    """Its registered KL, right where float32 holds its normalizer; and the mean and entropy beside it."""
    errors = []
    for size, k in ((2, 1.0), (3, 4.0), (11, 20.0), (41, 60.0)):
        mu, concentration = tf.constant(directions(5, size), tf.float64), tf.fill([5], tf.constant(k, tf.float64))
        theirs = tfd.PowerSpherical(tf.math.l2_normalize(mu, axis=-1), concentration)
        ours, uniform = distribution("power_spherical", size, k, 5), tfd.SphericalUniform(size, dtype=tf.float64)
        errors.append(np.abs(ours.kl_to_uniform() / tfd.kl_divergence(theirs, uniform).numpy() - 1).max())
        z = directions(5, size, seed=1)
        np.testing.assert_allclose(ours.log_prob(z), theirs.log_prob(z.astype(np.float64)), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(ours.mean(), theirs.mean(), rtol=1e-5, atol=1e-7)
    figure("KL(power_spherical, uniform_sphere) against TFP's in float64, relative error", max(errors), "below 1e-6")
    assert max(errors) < 1e-6


@pytest.mark.parametrize("size", [2, 3, 20, 1024])
@pytest.mark.parametrize("name", FAMILIES)
def test_without_concentration_it_is_the_uniform_distribution(name, size):
    q, p = distribution(name, size, 0.0, 7), prior("uniform_sphere", (size,)).distribution(None)
    z = directions(7, size, seed=2)
    np.testing.assert_allclose(q.kl_divergence(p), np.zeros(7), atol=1e-12)
    np.testing.assert_allclose(q.log_prob(z), p.log_prob(z), rtol=1e-6)
    np.testing.assert_array_equal(q.mean(), np.zeros((7, size)))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("name", FAMILIES)
def test_orders_beyond_five_hundred_and_concentrations_of_ten_thousand_are_finite_and_right(name, mode):
    """In float32, with their gradients. The von Mises-Fisher's KL is that of the table to float32's last digits."""
    for size in (2, 1024) if mode == "xla" else (2, 3, 1024, 3000):
        concentrations = tf.constant([0.0, 1e-3, 1.0, 1e3, 1e4])
        mu = tf.constant(directions(5, size))

        def numbers(mu, concentrations):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([mu, concentrations])
                q = FAMILIES[name](mu, concentrations)
                z = q.sample(3, seed=SEED)
                values = z, q.log_prob(z), q.kl_to_uniform(), q.entropy(), q.mean()
            return (
                *values,
                *(tape.gradient(values[i], [mu, concentrations]) for i in (0, 1)),
                tape.gradient(values[2], concentrations),
            )

        found = MODES[mode](numbers)(mu, concentrations)
        for number in tf.nest.flatten(found):
            assert number.dtype == tf.float32
            assert np.all(np.isfinite(number)), (size, number)
        np.testing.assert_allclose(np.linalg.norm(found[0], axis=-1), 1.0, rtol=2e-6)
        if name == "von_mises_fisher":
            known = {k: k * ratio - log_mean for m, k, log_mean, ratio in BESSEL if m == size}
            for k, kl in zip(concentrations.numpy(), found[2].numpy(), strict=True):
                if k in known and k >= 1:
                    assert kl == pytest.approx(known[k], rel=1e-6)


# Draws.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FAMILIES)
def test_draws_have_the_density_of_their_angle_and_no_preference_around_it(name, mode, figure):
    """Kolmogorov's distance of 20,000 angles, below what one in 10^4 exceeds; moments aside within 4 errors."""
    draws = 20_000
    bound = math.sqrt(-math.log(1e-4 / 2) / 2 / draws)
    worst = 0.0
    cases = ((2, 1.0), (3, 40.0), (11, 2000.0), (2, 300.0), (3, 0.5), (11, 10.0), (300, 100.0))
    for size, k in cases[:3] if mode == "xla" else cases:
        q = distribution(name, size, k)
        z = MODES[mode](lambda q=q: q.sample(draws, seed=SEED))().numpy().astype(float)[:, 0]
        mu = q.mean_direction.numpy()[0].astype(float)
        angles, weights = cosine_density(name, size, k)
        # Of the chord, which keeps small angles.
        found = np.sort(2 * np.arcsin(np.minimum(1.0, np.linalg.norm(z - mu, axis=1) / 2)))
        cumulative = np.interp(found, angles, np.cumsum(weights) - weights / 2, left=0.0, right=1.0)
        ranks = np.arange(draws + 1) / draws
        distance = max(np.abs(cumulative - ranks[1:]).max(), np.abs(cumulative - ranks[:-1]).max())
        worst = max(worst, distance)
        assert distance < bound, (size, k)
        aside = (z - np.outer(z @ mu, mu)) @ np.linalg.svd(mu[np.newaxis])[2][1]
        square = weights @ np.sin(angles) ** 2 / (size - 1)
        for sample, mean in ((aside, 0.0), (aside**2, square)):
            assert abs(sample.mean() - mean) < 4 * sample.std(ddof=1) / math.sqrt(draws), (size, k)
    figure(f"Kolmogorov distance of 20,000 angles of {name}, {mode}", worst, f"below {bound:.3g}")


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_are_a_function_of_the_seed(name):
    part = posterior(name, 5)
    rows = tf.constant(np.random.default_rng(0).normal(size=(6, 6)), tf.float32)

    def draw(seed):
        return part.distribution(rows).sample((2, 3), seed=seed)

    for mode in MODES.values():
        one, same, other = (mode(draw)(tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
        assert one.shape == (2, 3, 6, 5)
        np.testing.assert_array_equal(one, same)
        assert np.all(np.any(one != other, axis=-1))
        assert len(np.unique(one.reshape(-1, 5), axis=0)) == 36


def test_angles_are_the_same_in_every_mode():
    k = tf.constant([0.5, 3.0, 100.0])
    eager, graph, xla = (mode(lambda: polar_angle.polar_angle(11, k, 50, SEED))().numpy() for mode in MODES.values())
    np.testing.assert_allclose(eager, graph, rtol=1e-5)
    np.testing.assert_allclose(eager, xla, rtol=1e-4)


def test_proposals_of_the_von_mises_fisher_are_accepted_often_enough():
    """At the least two in three, at m = 2 and large k: then one draw in 2.6 10^7 takes its last of 16 proposals."""
    worst = 1.0
    for size in (2, 3, 11, 300):
        for k in (0.1, 3.0, 100.0, 1e4):
            b = (size - 1) / (2 * k + math.sqrt(4 * k**2 + (size - 1) ** 2))
            envelope = (1 - b) / (1 + b)
            top = k * envelope + (size - 1) * math.log1p(-(envelope**2))
            e = np.random.default_rng(0).beta((size - 1) / 2, (size - 1) / 2, 20_000)
            w = (1 - (1 + b) * e) / (1 - (1 - b) * e)
            log_accept = k * w + (size - 1) * np.log1p(-envelope * w) - top
            assert log_accept.max() < 1e-9
            worst = min(worst, np.exp(log_accept).mean())
    assert worst > 0.64
    assert (1 - worst) ** polar_angle.PROPOSALS < 1e-7


@pytest.mark.parametrize("jit", [False, True])
def test_derivative_of_the_angle_meets_high_precision(jit, figure):
    errors = []
    for size, k, angle, exact in ANGLES[::4] if jit else ANGLES:
        derivative = tf.function(polar_angle._derivative, jit_compile=jit)
        found = derivative(size, tf.constant([angle], tf.float64), tf.constant([k], tf.float64))
        errors.append(abs(float(found[0]) / exact - 1))
    figure(f"da/dk of the von Mises-Fisher's angle, jit={jit}, against mpmath, relative error", max(errors), "1e-6")
    assert max(errors) < 1e-6


def exact_expectation(name, row, size, b):
    """E f(z), f of `drawn`, as a function of the features: by a formula each, in float64."""
    mu = tf.math.l2_normalize(row[:-1], axis=-1)
    k = 1 + tf.math.softplus(row[-1])
    if name == "von_mises_fisher":
        shifted = tf.norm(k * mu + b)
        return tf.exp(log_mean_exp_and_ratio(size, shifted)[0] - log_mean_exp_and_ratio(size, k)[0])
    q = tfd.PowerSpherical(mu, k)
    mean = tf.tensordot(b, q.mean(), 1)
    return mean + tf.tensordot(b, tf.linalg.matvec(q.covariance(), b), 1) + mean**2


def drawn(name, z, b):
    """exp(b'z), whose mean is a quotient of normalizers; or b'z + (b'z)^2, by the moments."""
    inner = tf.linalg.matvec(z, tf.cast(b, tf.float32))
    return tf.exp(inner) if name == "von_mises_fisher" else inner + inner**2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "raw", "mode"),
    [(2, 0.0, "graph"), (2, 30.0, "graph"), (3, 2.0, "xla"), (6, 8.0, "graph"), (40, 30.0, "graph")],
)
@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_of_draws_is_that_of_the_expectation(name, size, raw, mode):
    """By 20,000 draws, each with features of its own: mean and exact gradient of every feature within 4 errors."""
    draws, rng = 20_000, np.random.default_rng(size)
    row, b = np.append(rng.normal(size=size), raw), tf.constant(rng.normal(size=size))
    part = posterior(name, size)

    def gradient(rows):
        with tf.GradientTape() as tape:
            tape.watch(rows)
            loss = tf.reduce_sum(drawn(name, part.distribution(rows).sample(seed=SEED), b))
        return tape.gradient(loss, rows)

    found = MODES[mode](gradient)(tf.constant(np.tile(row, (draws, 1)), tf.float32)).numpy().astype(float)
    exact_row = tf.constant(row)
    with tf.GradientTape() as tape:
        tape.watch(exact_row)
        expectation = exact_expectation(name, exact_row, size, b)
    exact = tape.gradient(expectation, exact_row).numpy()
    # Finite differences of the same expectation, so that the exact gradient is not taken on trust.
    step = 1e-5 * np.eye(size + 1)
    differences = [
        float(
            exact_expectation(name, tf.constant(row + e), size, b)
            - exact_expectation(name, tf.constant(row - e), size, b)
        )
        / 2e-5
        for e in step
    ]
    np.testing.assert_allclose(exact, differences, rtol=1e-5, atol=1e-7)
    t = (found.mean(axis=0) - exact) / (found.std(axis=0, ddof=1) / math.sqrt(draws))
    assert np.abs(t).max() < 4


# Directions.


@pytest.mark.parametrize("size", [2, 3, 50])
def test_turning_from_the_pole_is_a_rotation_or_reflection_that_brings_it_to_the_mean_direction(size):
    special_ones = np.concatenate([np.eye(size)[:2], -np.eye(size)[:2]])
    mu = tf.constant(np.concatenate([special_ones, directions(20, size)]), tf.float32)
    pole = tf.one_hot(tf.zeros(len(mu), tf.int32), size)
    np.testing.assert_allclose(from_pole(pole, mu), mu, atol=1e-6)
    polar = tf.constant(np.random.default_rng(0).normal(size=(len(mu), 7, size)), tf.float32)
    turned = from_pole(polar, mu[:, tf.newaxis])
    inner = tf.matmul(polar, polar, transpose_b=True)
    np.testing.assert_allclose(tf.matmul(turned, turned, transpose_b=True), inner, rtol=1e-4, atol=1e-4)


def test_directions_near_the_first_axis_have_bounded_derivatives():
    """Where a reflection from the axis to the direction has one of size 1 / distance."""
    polar = tf.constant([[0.6, 0.0, 0.8]])
    for near in (1e-2, 1e-4, 1e-6):
        mu = tf.constant([[1.0, near, 0.0], [-1.0, near, 0.0]])
        with tf.GradientTape() as tape:
            tape.watch(mu)
            turned = from_pole(polar, mu)
        assert np.abs(tape.batch_jacobian(turned, mu)).max() < 3


@pytest.mark.parametrize("name", FAMILIES)
def test_features_of_zero_have_a_direction_and_finite_gradients(name):
    part, rows = posterior(name, 4), tf.zeros((3, 5))
    with tf.GradientTape() as tape:
        tape.watch(rows)
        q = part.distribution(rows)
        z = q.sample(2, seed=SEED)
        loss = tf.reduce_sum(q.log_prob(z) + z[..., 1])
    np.testing.assert_array_equal(direction_of(rows[:, :-1]), np.tile([1.0, 0.0, 0.0, 0.0], (3, 1)))
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-6)
    assert np.all(np.isfinite(tape.gradient(loss, rows)))
    short = direction_of(tf.constant([[0.0, 2 * TINY, 0.0]]))
    np.testing.assert_allclose(short, [[0.0, 1.0, 0.0]])


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("floor", [0.0, 1.0, 5.0])
def test_concentration_is_the_floor_plus_softplus(name, floor):
    part = posterior(name, 3, concentration_floor=floor)
    raw = np.linspace(-4, 4, 5, dtype=np.float32)
    rows = tf.concat([tf.ones((5, 3)), raw[:, np.newaxis]], axis=-1)
    np.testing.assert_allclose(part.distribution(rows).concentration, floor + np.log1p(np.exp(raw)), rtol=1e-6)


# The prior.


def test_uniform_density_is_one_over_the_area():
    for size, area in ((2, 2 * math.pi), (3, 4 * math.pi), (4, 2 * math.pi**2)):
        p = prior("uniform_sphere", (size,)).distribution(None)
        np.testing.assert_allclose(p.log_prob(directions(5, size)), -math.log(area), rtol=1e-6)
    for size in (1024, 3000):
        exact = math.lgamma(size / 2) - math.log(2) - size / 2 * math.log(math.pi)
        found = prior("uniform_sphere", (size,)).distribution(None).log_prob(directions(1, size))
        np.testing.assert_allclose(found, exact, rtol=1e-7)


@pytest.mark.parametrize("jit", [False, True])
def test_uniform_draws_have_length_one_and_the_moments_of_the_uniform_distribution(jit):
    for size in (2, 3, 11):
        p = prior("uniform_sphere", (size,)).distribution(None)
        z = tf.function(lambda p=p: p.sample(20_000, seed=SEED), jit_compile=jit)().numpy().astype(float)
        np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-6)
        errors = z.std(axis=0, ddof=1) / math.sqrt(len(z))
        assert np.all(np.abs(z.mean(axis=0)) < 4 * errors)
        fourth = 3 / (size * (size + 2))
        assert np.all(np.abs((z**4).mean(axis=0) - fourth) < 4 * (z**4).std(axis=0, ddof=1) / math.sqrt(len(z)))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_mixture_of_posteriors_is_a_density_on_the_sphere(name):
    """As VampPrior and the aggregate posterior make it: it integrates to one, and its samples agree with it."""
    mu, k = tf.constant(directions(3, 2)), tf.constant([1.0, 5.0, 40.0])
    logits = tf.constant([0.2, -1.0, 0.7])
    mixture = gaussian_mixture(logits, FAMILIES[name](mu, k))
    angles = np.arange(2000) * 2 * np.pi / 2000
    circle = np.float32(np.stack([np.cos(angles), np.sin(angles)], axis=-1))
    log_p = mixture.log_prob(circle).numpy().astype(float)
    assert np.exp(log_p).sum() * 2 * np.pi / 2000 == pytest.approx(1.0, abs=1e-5)
    weights = np.exp(logits) / np.exp(logits).sum()
    each = FAMILIES[name](mu, k).log_prob(circle[:, np.newaxis]).numpy().astype(float)
    np.testing.assert_allclose(log_p, np.log(np.exp(each) @ weights), rtol=1e-4, atol=1e-5)
    z, at, share = mixture.sample(20_000, seed=SEED).numpy().astype(float), circle.astype(float), np.exp(log_p)
    share /= share.sum()
    for sample, exact in ((z, share @ at), (z[:, 0] * z[:, 1], share @ (at[:, 0] * at[:, 1]))):
        assert np.all(np.abs(sample.mean(axis=0) - exact) < 4 * sample.std(axis=0, ddof=1) / math.sqrt(len(z)))
    assert marginals(mixture) is None
    assert marginals(FAMILIES[name](mu, k)) is None


# Objectives.


class Toy:
    """p(z) uniform on the sphere of R^m and log p(x|z) = a'z, so that p(z|x) is a von Mises-Fisher distribution.

    Its mean direction is that of a, its concentration |a|, and log p(x) = log E_p exp(a'z). Every row of features gives
    gradients of its own.
    """

    def __init__(self, part, rows, a):
        self.posterior, self.rows, self.a = part, rows, tf.constant(a, tf.float32)

    def features(self, x):
        return self.rows

    def encode(self, x):
        return self.posterior.distribution(self.rows)

    def latent_prior(self):
        return prior("uniform_sphere", (self.a.shape[0],)).distribution(None)

    def decode(self, z):
        return SimpleNamespace(log_prob=lambda x: tf.linalg.matvec(z, self.a))


def objective(name, samples):
    overrides = (f"estimator={name}", f"estimator.samples={samples}", "estimator.groups=1")
    return compose.make_estimator(compose.compose_unchecked(*overrides))


def losses(name, part, row, a, samples, draws):
    """Terms and gradients by the features [draws, P] of an estimator."""
    rows = tf.constant(np.tile(row, (draws, 1)), tf.float32)
    estimator = objective(name, samples)

    @tf.function
    def numbers(rows):
        with tf.GradientTape() as tape:
            tape.watch(rows)
            terms = estimator(Toy(part, rows, a), None, SEED)
            loss = tf.reduce_sum(terms.loss)
        return terms, tape.gradient(loss, rows)

    return numbers(rows)


A = np.array([1.0, -2.0, 0.5, 3.0, -1.0])


def test_at_the_exact_posterior_every_draw_has_the_log_likelihood_and_sticking_the_landing_no_gradient(figure):
    row = np.append(A, inverse_softplus(np.linalg.norm(A) - 1))
    terms, gradient = losses("sticking_the_landing", posterior("von_mises_fisher", 5), row, A, 1, 500)
    log_likelihood = float(log_mean_exp_and_ratio(5, np.linalg.norm(A))[0])
    error = np.abs(terms.elbo - log_likelihood).max()
    figure("ELBO at the exact von Mises-Fisher posterior against log p(x), nats", error, "below 1e-5")
    assert error < 1e-5
    assert np.abs(gradient).max() < 1e-5


ONE_SAMPLE = (
    "analytic_kl",
    "monte_carlo",
    "importance_weighted",
    "sticking_the_landing",
    "doubly_reparameterized",
)


@pytest.mark.parametrize("name", FAMILIES)
def test_estimators_of_one_sample_have_the_gradient_of_the_elbo(name):
    """E a'z - KL in closed form; the mean of 20,000 gradients within 4 standard errors, feature by feature."""
    part, row = posterior(name, 5), np.array([0.5, -1.0, 1.0, 1.0, 0.3, 2.0])
    exact_row = tf.constant(row[np.newaxis], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(exact_row)
        q = part.distribution(exact_row)
        elbo = tf.linalg.matvec(q.mean(), tf.constant(A, tf.float32)) - q.kl_to_uniform()
    exact = -tape.gradient(elbo, exact_row)[0].numpy().astype(float)
    for estimator in ONE_SAMPLE:
        terms, gradient = losses(estimator, part, row, A, 1, 20_000)
        found = gradient.numpy().astype(float)
        error = found.std(axis=0, ddof=1) / math.sqrt(len(found))
        assert np.all(np.abs(found.mean(axis=0) - exact) < 4 * error), estimator
        bound = terms.elbo.numpy().astype(float)
        assert abs(bound.mean() - float(elbo[0])) < 4 * bound.std(ddof=1) / math.sqrt(len(bound)), estimator


@pytest.mark.parametrize("name", FAMILIES)
def test_the_doubly_reparameterized_gradient_is_unbiased_for_several_samples(name):
    part, row = posterior(name, 5), np.array([0.5, -1.0, 1.0, 1.0, 0.3, 2.0])
    plain, double = (
        losses(estimator, part, row, A, 5, 20_000)[1].numpy().astype(float)
        for estimator in ("importance_weighted", "doubly_reparameterized")
    )
    difference = plain - double
    t = difference.mean(axis=0) / (difference.std(axis=0, ddof=1) / math.sqrt(len(difference)))
    assert np.abs(t).max() < 4
    assert np.all(difference.std(axis=0) > 0)


# The space.


@pytest.mark.parametrize("name", options("posterior"))
def test_space_of_a_posterior_is_the_support_that_its_yaml_states(name):
    space = getattr(posterior(name), "space", Reals())
    assert isinstance(space, Sphere) == (fact(option("posterior", name), "support", "reals") == "sphere")


def test_paths_on_the_sphere_are_great_circles_at_constant_speed():
    start, end = directions(30, 4), directions(30, 4, seed=1)
    start[0], end[0] = [1, 0, 0, 0], [1, 1e-5, 0, 0]
    start[1] = end[1]
    whole = np.arccos(np.clip(np.sum(start * end, axis=-1), -1, 1))
    for share in (0.0, 0.25, 0.5, 1.0):
        z = np.asarray(Sphere().between(3 * start, 0.5 * end, share))
        np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-5)
        for point, part in ((start, share), (end, 1 - share)):
            angle = np.arccos(np.clip(np.sum(point * z, axis=-1), -1, 1))
            np.testing.assert_allclose(angle, part * whole, atol=2e-3)
        np.testing.assert_allclose(Reals().between(start, end, share), (1 - share) * start + share * end, rtol=1e-6)


def test_a_latent_moved_on_the_sphere_has_the_value_and_leaves_the_direction_of_the_others():
    z = directions(6, 4)
    moved = np.asarray(Sphere().moved(z, 2, 0.6))
    np.testing.assert_allclose(moved[:, 2], 0.6, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=-1), 1.0, rtol=1e-6)
    others = [0, 1, 3]
    ratio = moved[:, others] / z[:, others]
    np.testing.assert_allclose(ratio, np.tile(ratio[:, :1], 3), rtol=1e-5)
    assert np.all(ratio > 0)
    np.testing.assert_allclose(Sphere().moved(z, 0, -7.0), np.tile([-1.0, 0, 0, 0], (6, 1)), atol=1e-6)
    np.testing.assert_array_equal(np.asarray(Reals().moved(z, 2, 0.6))[:, others], z[:, others])


def test_active_units_are_counted_in_units_of_the_space():
    """Directions that vary in 30 of 300 latents and lean to none: each of the 30 varies by 1/30."""
    means = np.concatenate([directions(5000, 30), np.zeros((5000, 270))], axis=1)
    assert active_units(means, Sphere().variance(300)) == 30
    small = 0.3 * means  # .09 / 30 is below a hundredth, and above a hundredth of 1/300
    assert active_units(small) == 0
    assert active_units(small, Sphere().variance(300)) == 30


# Models and pictures.

MODEL = ("prior=uniform_sphere", "encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=3")


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def subject(request):
    return subject_of(f"posterior={request.param}", *MODEL)


def shown_latents(monkeypatch, picture, subject):
    """What the decoder is given while a picture is drawn."""
    seen, decode = [], subject.views.model.decode
    monkeypatch.setattr(subject.views, "_decode", lambda z: decode(subject.views.model.space.nearest(z)).mean())
    monkeypatch.setattr(subject.views.model, "decode", lambda z: seen.append(np.asarray(z)) or decode(z))
    picture(subject)
    return np.concatenate([z.reshape(-1, z.shape[-1]) for z in seen])


def test_what_is_decoded_lies_on_the_sphere(subject):
    model, rows = subject.views.model, np.arange(20)
    mean = posterior_mean(subject, rows)
    assert np.linalg.norm(mean, axis=-1).max() < 0.999
    direction = mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    by_direction = model.decode(direction).mean().numpy()
    np.testing.assert_allclose(subject.views.decode(mean), by_direction, rtol=1e-5)
    np.testing.assert_allclose(model(np.float32(subject.pixels[rows])), by_direction, rtol=1e-5)
    assert np.abs(model.decode(mean).mean().numpy() - by_direction).max() > 1e-3


def test_interpolations_run_along_great_circles(subject, monkeypatch):
    recorded = []
    monkeypatch.setattr(
        Subject, "decoded", lambda self, z: recorded.append(z) or np.zeros((len(z), 56, 56, 3), np.uint8)
    )
    interpolations(subject)
    path = np.stack(recorded)
    np.testing.assert_allclose(np.linalg.norm(path, axis=-1), 1.0, rtol=1e-5)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=-1)
    np.testing.assert_allclose(steps, np.tile(steps[:1], (len(steps), 1)), rtol=1e-2, atol=1e-4)


def test_traversals_stay_on_the_sphere_at_the_values_asked_for(subject):
    chosen, z = traversal_latents(subject)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-5)
    draws = subject.encoded[1].reshape(-1, 3)
    for row, latent in enumerate(chosen):
        values = draws[:, latent].mean() + STEPS * draws[:, latent].std()
        np.testing.assert_allclose(z[row, :, latent], np.clip(values, -1, 1), atol=1e-6)


def test_the_grid_of_the_sphere_has_cells_of_equal_area(subject):
    z = sphere_latents()
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(z.mean(axis=(0, 1)), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.diff(z[:, 0, 2]), -2 / CELLS_A_SIDE, rtol=1e-10)  # height is uniform: Archimedes
    longitude = np.arctan2(z[3, :, 1], z[3, :, 0])
    np.testing.assert_allclose(np.diff(longitude), 2 * np.pi / CELLS_A_SIDE, rtol=1e-10)
    assert latent_grid(subject) is not None
    assert latent_grid(subject_of(f"posterior={options('posterior')[-1]}", *MODEL[:-1], "latent_size=4")) is None


@pytest.mark.parametrize("prior_name", ["uniform_sphere", "vamp"])
@pytest.mark.parametrize("name", FAMILIES)
def test_elbo_is_below_the_importance_weighted_bound(program, name, prior_name):
    """By the evaluators at initial weights: within their noise L_1 <= L_50, the rate the closed form's."""
    overrides = [f"posterior={name}", f"prior={prior_name}", "estimator=monte_carlo", "training.jit=false"]
    if prior_name == "vamp":
        overrides.append("prior.components=5")
    _, pixels, built = program(*overrides)
    images, levels = pixels.fixed["test"]
    values = built.elbo(images, levels, 20, 0)
    bound = built.log_likelihood(images, levels, 50, 0)
    gap = bound - values["elbo"]
    assert gap.mean() > -3 * gap.std() / math.sqrt(len(gap))
    assert values["posterior_mean"].shape == (360, 3)
    if prior_name == "uniform_sphere":
        q = built.model.encode(np.float32(images))
        np.testing.assert_allclose(values["rate"], q.kl_to_uniform(), rtol=1e-4, atol=1e-5)
