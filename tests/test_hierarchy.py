"""Several layers of latents, on linear Gaussian chains whose every density is known."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.binarization import intensities
from vae_lab.config import compose
from vae_lab.config.parts import make
from vae_lab.decoder.linear import Linear as LinearDecoder
from vae_lab.encoder.linear import Linear as LinearEncoder
from vae_lab.errors import UsageError
from vae_lab.evaluation.layer_rates import layer_metrics, layer_rates
from vae_lab.likelihood.normal import Normal
from vae_lab.model import VAE
from vae_lab.posterior.bottom_up import BottomUp
from vae_lab.posterior.ladder import Ladder
from vae_lab.posterior.mvn_diag import MVNDiag
from vae_lab.prior.hierarchical import Hierarchical
from vae_lab.prior.mvn import MVN

tfd = tfp.distributions
SIZE, PIXELS, NOISE = 2, 4, 0.5  # latents a layer, pixels, the pixels' scale
STEPS = (1.3, 0.7)  # of which multiple of the layer above a layer is, by layer
SPREAD = (0.6, 0.9)  # and with what scale
AXES = np.array([[2.0, 0.0], [0.0, 1.5], [0.0, 0.0], [0.0, 0.0]])  # x = AXES z_1 + noise
ROWS = 6


def exp_floor(scale, floor=1e-5):
    return np.log(scale - floor)


def dense(layer, kernel, bias):
    layer.set_weights([np.asarray(kernel, np.float32), np.asarray(bias, np.float32)])


def affine(conditional, slope, scale):
    """Makes a network without hidden units say loc = slope * z, with a fixed scale [SIZE]."""
    kernel = np.concatenate([np.diag(slope), np.zeros((SIZE, SIZE))], axis=1)
    dense(conditional.layers[-1], kernel, np.concatenate([np.zeros(SIZE), exp_floor(np.asarray(scale))]))


def chain(layers):
    """The generative model: its prior, and by layer the marginal variances of z_l [SIZE]."""
    prior = Hierarchical([SIZE * layers], [SIZE] * (layers - 1), (), None, "exp", 1e-5)
    variance = [np.ones(SIZE)]
    for network, step, spread in reversed(list(zip(prior.networks, STEPS, SPREAD, strict=False))):
        affine(network, [step] * SIZE, [spread] * SIZE)
        variance.insert(0, step**2 * variance[0] + spread**2)
    return prior, variance


def log_evidence(x, variance):
    covariance = AXES @ np.diag(variance[0]) @ AXES.T + NOISE**2 * np.eye(PIXELS)
    normal = tfd.MultivariateNormalFullCovariance(np.zeros(PIXELS), covariance)
    return normal.log_prob(x.reshape(len(x), PIXELS).astype(np.float64)).numpy()


def of_image(prior_variance):
    """p(z | x) for z of that variance and x = AXES z + noise: slope of its loc in x [PIXELS, SIZE], and its scale."""
    precision = 1 / prior_variance + (AXES**2).sum(axis=0) / NOISE**2
    return AXES / NOISE**2 / precision, precision**-0.5


def going_up(layers, variance):
    """The exact posterior of a chain as q(z_1|x) q(z_2|z_1) ..., and its encoder."""
    posterior = BottomUp(SIZE, [SIZE] * (layers - 1), (), None, "exp", 1e-5)
    encoder = encoder_of(posterior, *of_image(variance[0]))
    for below, network in enumerate(posterior.networks):
        step, spread = STEPS[below], SPREAD[below]
        precision = 1 / variance[below + 1] + step**2 / spread**2
        affine(network, step / spread**2 / precision, precision**-0.5)
    return posterior, encoder


def going_down(layers, variance):
    """The exact posterior of a chain as q(z_L|x) q(z_(L-1)|z_L, x) ...: of two layers, whose upper one sees x."""
    assert layers == 2
    posterior = Ladder(SIZE, [SIZE], PIXELS, (), "linear", "exp", 1e-5)
    # What x alone says of z_1 is N(x_j / w_j, (noise / w_j)^2); of z_2 it is p(z_2|x), whole.
    weight = AXES.max(axis=0)
    encoder = encoder_of(posterior, AXES / weight**2, NOISE / weight, context=np.eye(PIXELS))
    through = (STEPS[0] * weight) ** 2 / (weight**2 * SPREAD[0] ** 2 + NOISE**2)
    precision = 1 / variance[1] + through
    slope = AXES * STEPS[0] / (weight**2 * SPREAD[0] ** 2 + NOISE**2) / precision
    kernel = np.concatenate([slope, np.zeros((PIXELS, SIZE))], axis=1)
    dense(posterior.heads[0].layers[-1], kernel, np.concatenate([np.zeros(SIZE), exp_floor(precision**-0.5)]))
    return posterior, encoder


def encoder_of(posterior, slope, scale, context=None):
    encoder = LinearEncoder(posterior.params_size, "zeros")
    encoder.build((None, 1, PIXELS, 1))
    kernel = np.concatenate([slope, np.zeros((PIXELS, SIZE)), *([] if context is None else [context])], axis=1)
    bias = np.zeros(posterior.params_size)
    bias[SIZE : 2 * SIZE] = exp_floor(scale)
    dense(encoder.layers[-1], kernel, bias)
    return encoder


def model_of(posterior, encoder, prior, latents):
    decoder = LinearDecoder([SIZE], [1, PIXELS, 1], None, "zeros")
    decoder.build((None, SIZE))
    dense(decoder.layers[1], AXES.T, np.zeros(PIXELS))
    likelihood = Normal("fixed", NOISE, 1e-3, "linear", None)
    model = VAE(encoder, posterior, decoder, likelihood, prior, [latents])
    model.build((None, 1, PIXELS, 1))
    return model


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(5).normal(size=(ROWS, 1, PIXELS, 1)).astype(np.float32)


EXACT = {
    "bottom_up, 2 layers": (going_up, 2),
    "bottom_up, 3 layers": (going_up, 3),
    "ladder, 2 layers": (going_down, 2),
}


def exact(name):
    way, layers = EXACT[name]
    prior, variance = chain(layers)
    return model_of(*way(layers, variance), prior, layers * SIZE), variance


@pytest.mark.parametrize("name", EXACT)
def test_at_the_exact_posterior_every_sample_is_log_p(name, x, figure):
    model, variance = exact(name)
    z = (q := model.encode(x)).sample(7, seed=(1, 2))
    elbo = model.decode(z).log_prob(x) + model.latent_prior().log_prob(z) - q.log_prob(z)
    worst = np.abs(elbo - log_evidence(x, variance)).max()
    figure(f"chain of Gaussians, exact posterior ({name}): largest |ELBO of a sample - log p(x)|", worst, "0 (< 1e-4)")
    assert worst < 1e-4


@pytest.mark.parametrize("name", EXACT)
def test_at_the_exact_posterior_the_path_gradient_is_zero(name, x):
    """Which it is only if all of q's parameters, shared networks too, are constants to differentiation."""
    model, _ = exact(name)
    estimator = make(compose.compose("estimator=sticking_the_landing", "estimator.samples=3").estimator)
    weights = [*model.encoder.trainable_variables, *model.posterior.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(estimator(model, tf.constant(x), tf.constant((3, 4))).loss)
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert np.abs(gradient).max() < 2e-3, weight.path


@pytest.mark.parametrize("name", EXACT)
def test_layers_are_drawn_as_their_density_says(name, x, figure):
    """Under twice the scale, E_q p/q is 1 for p of the scale itself."""
    model, variance = exact(name)
    draws = 20_000
    z = model.latent_prior().sample(draws, seed=(5, 6)).numpy().reshape(draws, -1, SIZE)
    for layer, wanted in enumerate(variance):
        found = z[:, layer].var(axis=0)
        assert np.all(np.abs(found - wanted) < 5 * wanted * np.sqrt(2 / draws)), layer
    q = model.encode(x[:1])
    z = model.latent_prior().sample((draws, 1), seed=(7, 8))
    weight = np.exp(np.minimum(model.decode(z).log_prob(x[:1]).numpy(), 50.0))
    estimate = np.log(weight.mean())
    error = weight.std() / weight.mean() / np.sqrt(draws)
    figure(
        f"draws of the layers' prior ({name}): log p(x) by them, in standard errors off",
        (estimate - log_evidence(x[:1], variance)[0]) / error,
        "within 4",
    )
    assert abs(estimate - log_evidence(x[:1], variance)[0]) < 4 * error
    z = q.sample(draws, seed=(9, 10))
    back = np.exp((model.latent_prior().log_prob(z) - q.log_prob(z)).numpy() + model.decode(z).log_prob(x[:1]).numpy())
    np.testing.assert_allclose(np.log(back.mean()), log_evidence(x[:1], variance)[0], atol=1e-4)


@pytest.mark.parametrize("redrawn", [1, 2])
def test_layers_below_are_drawn_again_given_those_above(redrawn):
    prior, _ = chain(3)
    p, draws = prior.distribution(None), 20_000
    z = np.tile(p.sample(1, seed=(1, 1)), (draws, 1))
    again = p.redrawn(tf.constant(z), redrawn, (2, 2)).numpy()
    kept = SIZE * redrawn
    np.testing.assert_array_equal(again[:, kept:], z[:, kept:])
    above = z[0, kept : kept + SIZE]
    loc, scale = STEPS[redrawn - 1] * above, SPREAD[redrawn - 1]
    found = again[:, kept - SIZE : kept]
    assert np.all(np.abs(found.mean(axis=0) - loc) < 4 * scale / np.sqrt(draws))
    assert np.all(np.abs(found.std(axis=0) / scale - 1) < 4 / np.sqrt(2 * draws))


def test_a_second_layer_that_knows_nothing_gives_the_value_of_one_layer(x):
    """q(z_2|z_1) = p(z_2) and p(z_1|z_2) = N(0, I): what is left is the model of one layer, at every draw."""
    prior = Hierarchical([2 * SIZE], [SIZE], (), None, "exp", 1e-5)
    affine(prior.networks[0], np.zeros(SIZE), np.ones(SIZE))
    posterior = BottomUp(SIZE, [SIZE], (), None, "exp", 1e-5)
    affine(posterior.networks[0], np.zeros(SIZE), np.ones(SIZE))
    slope, scale = of_image(np.full(SIZE, 1.7))
    two = model_of(posterior, encoder_of(posterior, slope, scale), prior, 2 * SIZE)
    one_posterior = MVNDiag(SIZE, "exp", None, 1e-5)
    one = model_of(one_posterior, encoder_of(one_posterior, slope, scale), MVN([SIZE]), SIZE)
    z = two.encode(x).sample(5, seed=(3, 3))
    of_two = two.latent_prior().log_prob(z) - two.encode(x).log_prob(z) + two.decode(z).log_prob(x)
    lower = z[..., :SIZE]
    of_one = one.latent_prior().log_prob(lower) - one.encode(x).log_prob(lower) + one.decode(lower).log_prob(x)
    np.testing.assert_allclose(of_two, of_one, rtol=1e-5, atol=1e-5)


def test_the_bound_of_k_samples_rises_to_log_p_as_one_over_k(x, figure):
    """At a posterior of 1.1 times the scale, where the gap of L_K nears Var(w) / 2K.

    What the mean weight is off p(x), which has mean 0, is taken off each bound: most of the noise.
    """
    prior, variance = chain(2)
    posterior, _ = going_up(2, variance)
    slope, scale = of_image(variance[0])
    model = model_of(posterior, encoder_of(posterior, slope, 1.1 * scale), prior, 2 * SIZE)
    q, draws = model.encode(x[:1]), 2**17
    z = q.sample(draws, seed=(4, 4))
    log_weight = model.decode(z).log_prob(x[:1]) + model.latent_prior().log_prob(z) - q.log_prob(z)
    weight = np.exp(log_weight.numpy()[:, 0].astype(np.float64) - log_evidence(x[:1], variance)[0])
    gaps = {}
    for k in (1, 8, 16, 32):
        mean = weight.reshape(-1, k).mean(axis=1)
        below = (mean - 1) - np.log(mean)
        gaps[k] = below.mean()
        assert np.log(mean).mean() < 4 * np.log(mean).std() / np.sqrt(len(mean))
    assert gaps[1] > gaps[8] > gaps[16] > gaps[32] > 0
    for k in (8, 16):
        ratio = gaps[2 * k] / gaps[k]
        figure(
            f"chain of Gaussians, 2 layers: gap of L_{2 * k} over gap of L_{k}", ratio, "1/2 as K grows (within .05)"
        )
        assert abs(ratio - 0.5) < 0.05


def layered(*overrides):
    return ("encoder.hidden=[8]", "decoder.hidden=[8]", "posterior.upper=[2]", "estimator=monte_carlo",
            "latent_size=3", *overrides)  # fmt: skip


LAYERED = [("bottom_up", "hierarchical"), ("ladder", "hierarchical"), ("ladder", "hierarchical_vamp")]


@pytest.mark.parametrize(("posterior", "prior"), LAYERED)
def test_rates_of_the_layers_sum_to_the_rate(posterior, prior, program):
    settings, images, built = program(*layered(f"posterior={posterior}", f"prior={prior}"))
    test = images.fixed["test"].rows(slice(130))
    found = built.elbo(test, 3, 0)
    by_layer = layer_rates(built.model, test, 3, 0)
    assert by_layer.shape == (130, 2)
    np.testing.assert_allclose(by_layer.sum(axis=1), found["rate"], rtol=1e-4, atol=1e-4)
    metrics = layer_metrics(built.model, "test", test, settings.evaluation, found["posterior_mean"])
    assert set(metrics) == {f"test/{name}_{layer}" for name in ("rate", "active_units") for layer in (1, 2)}


@pytest.mark.parametrize(("posterior", "prior"), LAYERED)
def test_free_bits_are_given_to_each_layer(posterior, prior, program):
    words = layered(f"posterior={posterior}", f"prior={prior}")
    settings, images, built = program(*words)
    some, seed = images.fixed["test"].rows(slice(50)), tf.constant([0, 7])
    x = intensities(some.pixels, some.levels)
    plain = make(settings.options["estimator"])
    q, p = built.model.encode(x), built.model.latent_prior()
    z = q.sample(1, seed=seed)
    rates = [
        float(tf.reduce_mean(of_q - of_p))
        for of_q, of_p in zip(q.layer_log_probs(z), p.layer_log_probs(z), strict=True)
    ]
    plain, free = plain(built.model, x, seed), sum(rates) / 2  # more than the one has, less than the other
    assert min(rates) < free < max(rates)
    terms = make(program(*words, f"estimator.free_bits={free}")[0].options["estimator"])(built.model, x, seed)
    for name in ("rate", "distortion", "elbo", "bound"):
        np.testing.assert_array_equal(getattr(terms, name), getattr(plain, name))
    np.testing.assert_allclose(terms.loss, plain.distortion + max(rates) + free, rtol=1e-5)


def test_one_layer_has_no_rates_of_layers(program):
    settings, images, built = program()
    mean = np.zeros((5, 3))
    assert layer_metrics(built.model, "test", images.fixed["test"].rows(slice(5)), settings.evaluation, mean) == {}


# The VampPrior at the top.

BINS = np.linspace(-9, 9, 37)  # edges of wide cells, each of 20 fine ones


def under_a_vamp(program, components, *overrides):
    """A model of z_1 and z_2 whose pseudo-inputs lie apart, and its prior."""
    words = ("posterior=ladder", "prior=hierarchical_vamp", f"prior.components={components}", "posterior.hidden=[4]",
             "posterior.context=3", "prior.hidden=[5]", *overrides)  # fmt: skip
    _, _, built = program(*layered(*words))
    rng = np.random.default_rng(2)
    for weight in (*built.model.prior.weights, *built.model.posterior.weights):
        weight.assign(rng.normal(size=weight.shape))
    built.model.prior.top.pseudo_inputs.assign(rng.uniform(size=built.model.prior.top.pseudo_inputs.shape))
    return built.model


def gaussian(dense_layers, rows, floor=1e-5):
    """loc and scale of rows [N, n] by dense layers of tanh units, in float64."""
    *hidden, last = [[np.asarray(weight, np.float64) for weight in layer.get_weights()] for layer in dense_layers]
    for kernel, bias in hidden:
        rows = np.tanh(rows @ kernel + bias)
    loc, raw = np.split(rows @ last[0] + last[1], 2, axis=-1)
    return loc, np.logaddexp(0, raw) + floor


def normal_log_prob(z, loc, scale):
    return np.sum(-0.5 * ((z - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi), axis=-1)


@pytest.mark.parametrize("components", [1, 5])
def test_a_vamp_at_the_top_equals_the_hand_formula(components, program):
    """log p(z_1|z_2) + log (1/K) sum_k q(z_2|u_k), and no other term."""
    model = under_a_vamp(program, components)
    features = model.features(model.prior.top.pseudo_inputs.value).numpy().astype(np.float64)
    up, head = model.posterior.upwards[0].layers, model.posterior.heads[0].layers
    of_inputs = gaussian([*up, *head], features[:, 2 * 3 :])
    z = np.random.default_rng(3).normal(size=(7, 5)) * 2
    below = normal_log_prob(z[:, :3], *gaussian(model.prior.networks[0].layers, z[:, 3:]))
    each = normal_log_prob(z[:, np.newaxis, 3:], *of_inputs)
    top = np.logaddexp.reduce(each, axis=1) - np.log(components)
    p = model.latent_prior()
    np.testing.assert_allclose(p.layer_log_probs(np.float32(z))[0], below, rtol=1e-4)
    np.testing.assert_allclose(p.layer_log_probs(np.float32(z))[1], top, rtol=1e-4)
    np.testing.assert_allclose(p.log_prob(np.float32(z)), below + top, rtol=1e-4)


def test_draws_under_a_vamp_are_of_its_density(program, figure):
    """Of two latents on a grid: the density integrates to 1, and each wide cell gets its share of the draws."""
    model, draws = under_a_vamp(program, 4, "latent_size=1", "posterior.upper=[1]"), 40_000
    p = model.latent_prior()
    fine = (BINS[:-1, np.newaxis] + (BINS[1] - BINS[0]) * (np.arange(20) + 0.5) / 20).ravel().astype(np.float32)
    log_p = p.log_prob(np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1)).numpy().astype(np.float64)
    mass = np.exp(log_p) * (fine[1] - fine[0]) ** 2
    figure("Integral of the hierarchical VampPrior over the plane", mass.sum(), "1 ± .001")
    assert abs(mass.sum() - 1) < 1e-3
    z = p.sample(draws, seed=(6, 6)).numpy().astype(np.float64)
    wanted = mass.reshape(36, 20, 36, 20).sum(axis=(1, 3))
    found = np.histogram2d(*z.T, bins=(BINS, BINS))[0] / draws
    assert np.all(np.abs(found - wanted) < 4.5 * np.sqrt(wanted / draws) + 1e-4)
    assert np.count_nonzero(wanted > 0.01) > 10
    np.testing.assert_allclose(p.mean(), z.mean(axis=0), atol=4 * z.std(axis=0).max() / np.sqrt(64))


ESTIMATORS = [
    "combination_importance_weighted", "doubly_reparameterized", "importance_weighted", "monte_carlo",
    "multiply_importance_weighted", "partially_importance_weighted", "renyi", "sticking_the_landing", "thermodynamic",
]  # fmt: skip


@pytest.mark.parametrize(("posterior", "prior"), LAYERED)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_reach_every_weight(posterior, prior, estimator, program):
    words = [f"posterior={posterior}", f"prior={prior}", "posterior.upper=[2,2]", f"estimator={estimator}"]
    _, images, built = program(*words, "estimator.samples=2")
    x = tf.constant(images.fixed["test"].pixels[:8] / 16.0, tf.float32)
    weights = built.model.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(built.trainer.estimator(built.model, x, tf.constant((1, 2))).loss)
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert gradient is not None, weight.path
        assert np.any(np.asarray(gradient) != 0), weight.path


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["posterior=bottom_up"], "prior=mvn over reals"),
        (["prior=hierarchical"], "posterior=mvn_diag is over reals"),
        (["posterior=bottom_up", "prior=hierarchical", "estimator=analytic_kl"], "Use estimator=monte_carlo"),
        (["posterior=ladder", "prior=vamp", "estimator=monte_carlo"], "use prior=hierarchical"),
        (
            ["posterior=bottom_up", "prior=hierarchical_vamp", "estimator=monte_carlo"],
            "posterior=bottom_up has no density of; use posterior=ladder, or prior=hierarchical",
        ),
        (["prior=hierarchical_vamp", "estimator=monte_carlo"], "posterior=mvn_diag is over reals"),
        (["posterior=ladder", "prior=hierarchical_vamp"], "Use estimator=monte_carlo"),
        (["posterior=ladder", "prior=hierarchical", "prior.upper=[3]", "estimator=monte_carlo"], "leave prior.upper"),
        (
            ["posterior=bottom_up", "prior=hierarchical", "posterior.upper=[]", "estimator=monte_carlo"],
            "leaves one layer",
        ),
        (["posterior=bottom_up", "prior=hierarchical", "posterior.upper=7"], "must be a list of whole numbers"),
    ],
)
def test_what_has_no_meaning_is_refused(overrides, told):
    with pytest.raises(UsageError, match=told.replace("[", r"\[").replace("]", r"\]")):
        compose.compose(*overrides)
