"""Priors against hand formulas in float64, known bounds, grids and their own samples."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from omegaconf import OmegaConf
from scipy.special import logsumexp

from vae_lab.config import options, parts
from vae_lab.errors import UsageError
from vae_lab.layers.gaussian_mixture import DiagonalGaussianMixture, gaussian_mixture

tfd = tfp.distributions

SEED = tf.constant([3, 5])
IMAGE_SHAPE = (2, 2, 1)
IMAGES = np.random.default_rng(4).uniform(size=(5, *IMAGE_SHAPE)).astype(np.float32)
SMALL = {
    "mixture": {"components": 4},
    "vamp": {"components": 3},
    "flow": {"couplings": 3, "hidden": [6]},
    "spline": {"couplings": 3, "bins": 4, "hidden": [6]},
    "autoregressive": {"hidden": [6]},
    "categorical": {"categories": 3},
}
LOG_2PI = np.log(2 * np.pi)


def names():
    return sorted(path.stem for path in (options.CONF / "prior").glob("*.yaml"))


def option(name):
    return OmegaConf.load(options.CONF / "prior" / f"{name}.yaml")


def prior(name, latent_shape=(3,), train_images=IMAGES, **settings):
    keras.utils.set_random_seed(2)
    offered = parts.extra_arguments(option(name), image_shape=IMAGE_SHAPE, train_images=train_images)
    settings = {**option(name), **SMALL.get(name, {}), **settings}
    return parts.make(settings, latent_shape=latent_shape, **offered)


def scrambled(part, spread=0.5):
    """The part with weights far from where they start."""
    rng = np.random.default_rng(6)
    for weight in part.weights:
        weight.assign(rng.normal(size=weight.shape) * spread)
    return part


class Encoder:
    """A map from images [B,2,2,1] to a diagonal Gaussian q(z|x), with a weight of its own."""

    def __init__(self, latent_shape=(3,), posterior="mvn_diag"):
        self.grid = latent_shape[:-1]
        settings = OmegaConf.load(options.CONF / "posterior" / f"{posterior}.yaml")
        self.posterior = parts.make(settings, latent_size=latent_shape[-1])
        shape = (4, int(np.prod(self.grid)) * self.posterior.params_size)
        self.kernel = tf.Variable(np.random.default_rng(1).normal(size=shape), dtype=tf.float32)

    def __call__(self, x):
        features = tf.reshape(x, (-1, 4)) @ self.kernel
        return self.posterior.distribution(tf.reshape(features, (-1, *self.grid, self.posterior.params_size)))


def normal_log_prob(z, loc, scale):
    """Sum over the last axis of log N(z; loc, scale^2), in float64."""
    z, loc, scale = (np.asarray(array, np.float64) for array in (z, loc, scale))
    return np.sum(-0.5 * ((z - loc) / scale) ** 2 - np.log(scale) - 0.5 * LOG_2PI, axis=-1)


def gaussian_log_prob(z, loc, covariance):
    """log N(z; loc, covariance) for z [..., L], in float64."""
    delta = z - loc
    quadratic = np.einsum("...i,ij,...j->...", delta, np.linalg.inv(covariance), delta)
    return -0.5 * (quadratic + np.linalg.slogdet(covariance)[1] + len(loc) * LOG_2PI)


def gaussian_kl(loc_a, cov_a, loc_b, cov_b):
    """KL(N(a), N(b)) in float64."""
    inverse, delta = np.linalg.inv(cov_b), loc_a - loc_b
    log_dets = np.linalg.slogdet(cov_b)[1] - np.linalg.slogdet(cov_a)[1]
    return 0.5 * (np.trace(inverse @ cov_a) + delta @ inverse @ delta - len(loc_a) + log_dets)


def draws(shape, spread=1.0):
    return tf.constant(np.random.default_rng(9).normal(size=shape) * spread, tf.float32)


# Every prior.


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("mvn", {}, 0),
        ("mvn_tril", {}, 3 + 6),
        ("mixture", {}, 4 * (1 + 3 + 3)),
        ("mixture", {"covariance": "full"}, 4 * (1 + 3 + 6)),
        ("vamp", {}, 3 * 2 * 2 * 1),
        ("bernoulli", {}, 0),
        ("bernoulli", {"learned": True}, 3),
        ("categorical", {}, 0),
        ("categorical", {"learned": True}, 3),
        # 3 bits to 6 units to 3 logits.
        ("autoregressive", {}, (3 + 1) * 6 + (6 + 1) * 3),
        ("uniform_sphere", {}, 0),
        # Two couplings of 1 latent to 6 units to shift and scale of 2 latents, and one of 2 to 6 to those of 1.
        ("flow", {}, 2 * ((1 + 1) * 6 + (6 + 1) * 4) + (2 + 1) * 6 + (6 + 1) * 2),
        # The same with 11 numbers of four bins in the place of shift and scale.
        ("spline", {}, 2 * ((1 + 1) * 6 + (6 + 1) * 22) + (2 + 1) * 6 + (6 + 1) * 11),
    ],
)
def test_weights_by_hand(name, settings, expected):
    assert sum(np.prod(weight.shape) for weight in prior(name, **settings).weights) == expected


# Gaussians.


@pytest.mark.parametrize(("name", "tolerance"), [("mvn", 1e-5), ("mvn_tril", 1e-5), ("flow", 0.2), ("spline", 0.2)])
def test_starts_at_the_standard_gaussian(name, tolerance):
    z = draws((50, 3))
    log_p = prior(name).distribution(None).log_prob(z)
    np.testing.assert_allclose(log_p, normal_log_prob(z, np.zeros(3), np.ones(3)), atol=tolerance)


def test_mvn_tril_equals_hand_formula():
    part = scrambled(prior("mvn_tril", (4,)))
    p, z = part.distribution(None), draws((20, 4))
    scale = p.scale.to_dense().numpy().astype(float)
    assert np.all(np.triu(scale, 1) == 0)
    assert np.count_nonzero(scale) == 10
    by_hand = gaussian_log_prob(z.numpy().astype(float), part.loc.numpy().astype(float), scale @ scale.T)
    np.testing.assert_allclose(p.log_prob(z), by_hand, rtol=1e-5)


# The mixture.


def components(part):
    """Weights [K], locs [K,L] and covariances [K,L,L] of a mixture, in float64."""
    p = part.distribution(None)
    scale = np.asarray(tf.convert_to_tensor(p.components_distribution.scale.to_dense()), np.float64)
    weights = np.asarray(p.mixture_distribution.probs_parameter(), np.float64)
    return weights, part.loc.numpy().astype(np.float64), scale @ np.swapaxes(scale, -1, -2)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_mixture_starts_with_equal_weights_unit_scales_and_the_spread_asked_for(covariance):
    weights, loc, cov = components(prior("mixture", components=500, covariance=covariance, loc_spread=0.25))
    np.testing.assert_allclose(weights, 1 / 500, rtol=1e-5)
    np.testing.assert_allclose(cov, np.broadcast_to(np.eye(3), cov.shape), atol=1e-5)
    assert abs(loc.std() - 0.25) < 4 * 0.25 / np.sqrt(2 * loc.size)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_mixture_equals_hand_formula(covariance):
    part, z = scrambled(prior("mixture", covariance=covariance)), draws((20, 3))
    by_component = [
        np.log(weight) + gaussian_log_prob(z.numpy().astype(float), loc, cov)
        for weight, loc, cov in zip(*components(part), strict=True)
    ]
    np.testing.assert_allclose(part.distribution(None).log_prob(z), logsumexp(by_component, axis=0), rtol=1e-5)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_mixture_of_equal_components_is_one_component(covariance):
    part, z = prior("mixture", covariance=covariance), draws((20, 3))
    part.loc.assign(np.tile(part.loc.numpy()[:1], (4, 1)))
    part.logits.assign([0.3, -1.0, 0.2, 2.0])
    one = part.distribution(None).components_distribution.log_prob(z[:, tf.newaxis])[:, 0]
    np.testing.assert_allclose(part.distribution(None).log_prob(z), one, rtol=1e-6)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_mixture_of_separated_components_is_the_near_one(covariance):
    """log w_k + log N: a log-sum-exp taken a dimension at a time would give log w_k five times over."""
    part = prior("mixture", (5,), covariance=covariance)
    part.loc.assign(100.0 * np.eye(4, 5))
    part.logits.assign([0.3, -1.0, 0.2, 2.0])
    weights, loc, cov = components(part)
    z = np.float32(loc + np.random.default_rng(3).normal(size=(4, 5)))
    near = [np.log(weights[k]) + gaussian_log_prob(z[k].astype(float), loc[k], cov[k]) for k in range(4)]
    np.testing.assert_allclose(part.distribution(None).log_prob(z), near, atol=1e-4)


@pytest.mark.parametrize("covariance", ["diag", "full"])
@pytest.mark.parametrize("count", [1, 4])
def test_mixture_kl_lies_between_its_bounds(covariance, count):
    """-H(q) - log sum_k w_k N(m; m_k, S + S_k) <= KL(q, p) <= -log sum_k w_k exp(-KL(q, g_k))."""
    part = scrambled(prior("mixture", components=count, covariance=covariance), 1.0)
    rng = np.random.default_rng(5)
    for _ in range(3):
        loc, root = rng.normal(size=3), np.tril(rng.normal(size=(3, 3))) + np.eye(3)
        q = tfd.MultivariateNormalTriL(np.float32(loc), np.float32(root))
        cov = root @ root.T
        each = list(zip(*components(part), strict=True))
        entropy = 0.5 * (3 * (1 + LOG_2PI) + np.linalg.slogdet(cov)[1])
        lower = -entropy - logsumexp([np.log(w) + gaussian_log_prob(loc, m, cov + s) for w, m, s in each])
        upper = -logsumexp([np.log(w) - gaussian_kl(loc, cov, m, s) for w, m, s in each])
        z = q.sample(20000, seed=SEED)
        ratio = (q.log_prob(z) - part.distribution(None).log_prob(z)).numpy().astype(float)
        kl, standard_error = ratio.mean(), ratio.std(ddof=1) / np.sqrt(len(ratio))
        assert lower - 4 * standard_error <= kl <= upper + 4 * standard_error
        if count == 1:
            assert abs(kl - upper) < 4 * standard_error


@pytest.mark.parametrize("grid", [(), (2, 3)])
def test_matrix_products_give_the_mixture_of_narrow_components_and_its_gradient(grid):
    """Means of size 1 and scales of 1e-3: z^2 / s^2 is a million times the distance that is left of it."""
    rng = np.random.default_rng(0)
    loc, scale = rng.normal(size=(5, *grid, 4)), np.exp(rng.normal(size=(5, *grid, 4))) / 1000
    z = np.float32(loc[rng.integers(5, size=(7, 2))] + rng.normal(size=(7, 2, *grid, 4)) / 1000)
    loc, scale, logits = (tf.constant(values, tf.float32) for values in (loc, scale, rng.normal(size=5)))

    def components(dtype):
        diagonal = tfd.MultivariateNormalDiag(tf.cast(loc, dtype), tf.cast(scale, dtype))
        return tfd.Independent(diagonal, len(grid)) if grid else diagonal

    exact = tfd.MixtureSameFamily(tfd.Categorical(logits=tf.cast(logits, tf.float64)), components(tf.float64))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([loc, scale, logits])
        log_p = gaussian_mixture(logits, components(tf.float32)).log_prob(z)
        expected = tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components(tf.float32)).log_prob(z)
    assert isinstance(gaussian_mixture(logits, components(tf.float32)), DiagonalGaussianMixture)
    np.testing.assert_allclose(log_p, exact.log_prob(z.astype(np.float64)), rtol=1e-5)
    for found, known in zip(*(tape.gradient(y, [loc, scale, logits]) for y in (log_p, expected)), strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-3, atol=1e-3 * np.abs(known).max())


def test_mixture_components_that_start_apart_get_different_gradients():
    part = prior("mixture")
    with tf.GradientTape() as tape:
        log_p = tf.reduce_sum(part.distribution(None).log_prob(draws((20, 3))))
    for gradient in tape.gradient(log_p, [part.loc.value, part.raw_scale.value]):
        assert len(np.unique(gradient.numpy(), axis=0)) == 4


def test_mixture_of_full_covariances_refuses_a_spatial_latent():
    with pytest.raises(UsageError, match=r"prior\.covariance=full needs a flat latent"):
        prior("mixture", (2, 5, 3), covariance="full")


def test_spatial_mixture_equals_the_flattened_one():
    spatial, flat = prior("mixture", (2, 5, 3)), prior("mixture", (30,))
    for weight, source in zip(flat.weights, scrambled(spatial).weights, strict=True):
        weight.assign(tf.reshape(source.value, weight.shape))
    z = draws((6, 2, 5, 3))
    log_p = spatial.distribution(None).log_prob(z)
    np.testing.assert_allclose(log_p, flat.distribution(None).log_prob(tf.reshape(z, (6, 30))), rtol=1e-6)


# The VampPrior.


def test_vamp_of_the_data_is_the_aggregate_posterior(figure):
    encoder, z = Encoder(), draws((20, 3))
    p = prior("vamp", components=5, initialize="training_images").distribution(encoder)
    q = encoder(tf.constant(IMAGES))
    by_image = normal_log_prob(z.numpy()[:, np.newaxis], q.mean(), q.stddev())
    aggregate = logsumexp(by_image, axis=1) - np.log(5)
    error = np.abs(p.log_prob(z) / aggregate - 1).max()
    figure("VampPrior of the data against the aggregate posterior, relative error of log p(z)", error, "below 1e-5")
    np.testing.assert_allclose(p.log_prob(z), aggregate, rtol=1e-5)


def test_vamp_of_one_pseudo_input_is_one_gaussian():
    part, encoder, z = prior("vamp", components=1), Encoder(), draws((20, 3))
    q = encoder(part.pseudo_inputs.value)
    np.testing.assert_allclose(
        part.distribution(encoder).log_prob(z), normal_log_prob(z, q.mean(), q.stddev()), rtol=1e-5
    )


def test_vamp_goes_with_every_posterior():
    for name in ("mvn_tril", "iaf", "planar", "spline"):
        part, encoder, z = prior("vamp"), Encoder(posterior=name), draws((5, 4, 3))
        q = encoder(part.pseudo_inputs.value)
        each = [encoder(part.pseudo_inputs.value[k : k + 1]).log_prob(z) for k in range(3)]
        assert q.batch_shape == (3,)
        p = part.distribution(encoder)
        np.testing.assert_allclose(p.log_prob(z), logsumexp(each, axis=0) - np.log(3), rtol=1e-4)


def test_vamp_pseudo_inputs_start_at_random_near_black():
    start = prior("vamp", components=500).pseudo_inputs.numpy()
    assert start.min() >= 0
    # 2000 draws of N(.05, .01^2): 4 standard errors of mean and of standard deviation.
    assert abs(start.mean() - 0.05) < 4 * 0.01 / np.sqrt(2000)
    assert abs(start.std() - 0.01) < 4 * 0.01 / np.sqrt(2 * 2000)


def test_vamp_starts_from_the_first_training_images():
    np.testing.assert_array_equal(prior("vamp", initialize="training_images").pseudo_inputs, IMAGES[:3])
    without = prior("vamp", initialize="training_images", train_images=None)
    np.testing.assert_array_equal(without.pseudo_inputs, np.zeros((3, *IMAGE_SHAPE)))
    with pytest.raises(UsageError, match=r"prior\.components=6 is more than the 5 training images"):
        prior("vamp", components=6, initialize="training_images")


def test_vamp_clips_pseudo_inputs_and_their_gradient():
    part, encoder = prior("vamp", components=1), Encoder()
    part.pseudo_inputs.assign(tf.reshape([-0.5, 0.0, 1.0, 1.5], part.pseudo_inputs.shape))
    clipped = encoder(tf.reshape([0.0, 0.0, 1.0, 1.0], (1, *IMAGE_SHAPE)))
    with tf.GradientTape() as tape:
        log_p = part.distribution(encoder).log_prob(draws((3,)))
    np.testing.assert_allclose(log_p, clipped.log_prob(draws((3,)))[0], rtol=1e-6)
    gradient = tape.gradient(log_p, part.pseudo_inputs.value).numpy().ravel()
    np.testing.assert_array_equal(gradient != 0, [False, True, True, False])


# The flow.


def test_flow_log_determinant_equals_the_autodiff_jacobian():
    flow = scrambled(prior("flow", (5,))).distribution(None).bijector
    z = draws((5,))
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = flow.forward(z)
    jacobian = tape.jacobian(y, z).numpy().astype(float)
    np.testing.assert_allclose(flow.forward_log_det_jacobian(z, 1), np.linalg.slogdet(jacobian)[1], rtol=1e-5)
    foreign = tf.identity(y)
    with tf.GradientTape() as tape:
        tape.watch(foreign)
        back = flow.inverse(foreign)
    inverse = tape.jacobian(back, foreign).numpy().astype(float)
    np.testing.assert_allclose(flow.inverse_log_det_jacobian(foreign, 1), np.linalg.slogdet(inverse)[1], rtol=1e-5)
    np.testing.assert_allclose(back, z, atol=1e-5)


def test_flow_couples_all_latents():
    flow = scrambled(prior("flow", (5,))).distribution(None).bijector
    z = draws((5,))
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = flow.forward(z)
    assert np.all(tape.jacobian(y, z).numpy() != 0)


def test_flow_density_integrates_to_one_and_its_samples_have_its_entropy(figure):
    p = scrambled(prior("flow", (2,), couplings=4)).distribution(None)
    axis = np.linspace(-15, 15, 601, dtype=np.float32)
    log_p = p.log_prob(np.stack(np.meshgrid(axis, axis), axis=-1)).numpy().astype(float)
    density, cell = np.exp(log_p), (axis[1] - axis[0]) ** 2
    # The trapezoid rule's error on a smooth density is far below the tolerance; it comes from float32.
    figure("Integral of the flow prior over the plane", density.sum() * cell, "1 ± .001")
    assert density.sum() * cell == pytest.approx(1.0, abs=1e-3)
    z = p.sample(20000, seed=SEED)
    at_samples = p.log_prob(tf.identity(z)).numpy().astype(float)
    standard_error = at_samples.std(ddof=1) / np.sqrt(len(at_samples))
    assert abs(at_samples.mean() - np.sum(density * log_p) * cell) < 4 * standard_error


def test_flow_needs_two_latents():
    with pytest.raises(UsageError, match="latent_size=1"):
        prior("flow", (1,))
