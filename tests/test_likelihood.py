"""Likelihoods: densities that integrate to one, samplers that agree with them, and numbers that stay finite."""

import itertools

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from vae_lab.likelihood.bernoulli import Bernoulli
from vae_lab.likelihood.categorical import Categorical
from vae_lab.likelihood.continuous_bernoulli import ContinuousBernoulli
from vae_lab.likelihood.discretized_logistic import DiscretizedLogistic
from vae_lab.likelihood.laplace import Laplace
from vae_lab.likelihood.normal import Normal

FLOOR = 1e-3
LEVELS = 5


def make(kind, scale="fixed", initial_scale=1.0, loc_activation="linear", output_bias=None):
    return kind(scale, initial_scale, FLOOR, loc_activation, output_bias)


def logistic(levels=LEVELS, scale="per_pixel", initial_scale=0.1, output_bias=None):
    return DiscretizedLogistic(levels, scale, initial_scale, FLOOR, output_bias)


# Every likelihood in every form; each call makes a new one.
FORMS = {
    "bernoulli": lambda bias=None: Bernoulli(bias, False),
    "continuous_bernoulli": lambda bias=None: ContinuousBernoulli(bias),
    "normal-fixed": lambda bias=None: make(Normal, "fixed", 0.3, output_bias=bias),
    "normal-shared": lambda bias=None: make(Normal, "shared", 0.3, output_bias=bias),
    "normal-per_pixel": lambda bias=None: make(Normal, "per_pixel", 0.3, output_bias=bias),
    "normal-sigmoid": lambda bias=None: make(Normal, "per_pixel", 0.3, "sigmoid", bias),
    "laplace-fixed": lambda bias=None: make(Laplace, "fixed", 0.3, output_bias=bias),
    "laplace-shared": lambda bias=None: make(Laplace, "shared", 0.3, output_bias=bias),
    "laplace-per_pixel": lambda bias=None: make(Laplace, "per_pixel", 0.3, output_bias=bias),
    "laplace-sigmoid": lambda bias=None: make(Laplace, "fixed", 0.3, "sigmoid", bias),
    "discretized_logistic-fixed": lambda bias=None: logistic(scale="fixed", output_bias=bias),
    "discretized_logistic-shared": lambda bias=None: logistic(scale="shared", output_bias=bias),
    "discretized_logistic-per_pixel": lambda bias=None: logistic(output_bias=bias),
    "categorical": lambda bias=None: Categorical(LEVELS, bias),
}
DISCRETE = ("bernoulli", "discretized_logistic", "categorical")
CONTINUOUS = [form for form in FORMS if not form.startswith(DISCRETE)]
every_form = pytest.mark.parametrize("form", FORMS)


def levels_of(form):
    """The values of x that a discrete likelihood knows."""
    return np.linspace(0, 1, 2 if form == "bernoulli" else LEVELS)


def one_pixel(likelihood, parameters):
    """[N,P] -> p(x|z) of N images of one grey pixel."""
    return likelihood.distribution(tf.constant(np.asarray(parameters)[:, None, None, :], tf.float32))


def log_prob(distribution, x):
    """x [G] or [G,N] -> float64 [G,N], under N distributions of one pixel."""
    x = np.asarray(x)
    x = x[:, None] if x.ndim == 1 else x
    return distribution.log_prob(tf.constant(x[..., None, None, None], tf.float32)).numpy().astype(float)


def some_parameters(likelihood, images=3, channels=1, spread=1.5, seed=0):
    shape = (images, channels * likelihood.params_size)
    return np.random.default_rng(seed).normal(scale=spread, size=shape)


def grid_of(form, distribution, points=20001):
    """x [points,N] that covers the support."""
    if form == "continuous_bernoulli":
        return np.linspace(0, 1, points)[:, None] * np.ones(distribution.batch_shape[0])
    # Steps of 0.003 standard deviations, with a Laplace density's kink on a point of the grid.
    mean, deviation = (part.numpy().reshape(-1).astype(float) for part in (distribution.mean(), distribution.stddev()))
    return mean + deviation * np.linspace(-30, 30, points)[:, None]


# log p of one value of one channel, in float64, from that channel's own parameters: the definitions.


def bernoulli_by_hand(x, logit):
    return x * np.log(scipy.special.expit(logit)) + (1 - x) * np.log(scipy.special.expit(-logit))


def continuous_bernoulli_by_hand(x, logit):
    probability = scipy.special.expit(logit)
    constant = 2 * np.arctanh(1 - 2 * probability) / (1 - 2 * probability)
    return np.log(constant) + bernoulli_by_hand(x, logit)


def normal_by_hand(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def laplace_by_hand(x, loc, scale):
    return -abs(x - loc) / scale - np.log(2 * scale)


def discretized_logistic_by_hand(x, loc, scale, levels=LEVELS):
    level, last = np.round(x * (levels - 1)), levels - 1
    above = np.inf if level == last else ((level + 0.5) / last - loc) / scale
    below = -np.inf if level == 0 else ((level - 0.5) / last - loc) / scale
    if above + below > 0:  # the upper tail by symmetry, or 1 - 1 would be left of it
        above, below = -below, -above
    return np.log(scipy.special.expit(above) - scipy.special.expit(below))


def categorical_by_hand(x, *logits):
    return logits[round(x * (LEVELS - 1))] - np.log(sum(np.exp(logit) for logit in logits))


def softplus(raw):
    return np.log1p(np.exp(raw))


def by_hand(form, x, *parameters):
    """log p(x) of one channel by its parameters, P of them."""
    name, _, kind = form.partition("-")
    if not kind:
        return globals()[f"{name}_by_hand"](x, *parameters)
    initial = 0.1 if name == "discretized_logistic" else 0.3
    loc, scale = parameters[0], initial
    if len(parameters) == 2:
        scale = FLOOR + softplus(parameters[1] + np.log(np.expm1(initial - FLOOR)))
    return globals()[f"{name}_by_hand"](x, scipy.special.expit(loc) if kind == "sigmoid" else loc, scale)


def channel_parameters(form, parameters, channel, channels):
    """Where a channel's P parameters lie: logits of levels together, loc and scale in blocks of all channels."""
    if form == "categorical":
        return parameters[channel * LEVELS : (channel + 1) * LEVELS]
    return parameters[channel::channels]


@every_form
def test_log_prob_sums_over_pixels_and_channels_as_a_loop_does(form):
    likelihood, channels = FORMS[form](), 3
    parameters = some_parameters(likelihood, 2 * 2 * 2 * 3, channels).reshape(2, 2, 2, 3, -1)  # [S,B,H,W,C*P]
    x = np.random.default_rng(1).choice(levels_of(form), size=(2, 2, 3, channels))
    expected = np.zeros((2, 2))
    for s, b, h, w, c in itertools.product(range(2), range(2), range(2), range(3), range(channels)):
        expected[s, b] += by_hand(form, x[b, h, w, c], *channel_parameters(form, parameters[s, b, h, w], c, channels))
    found = likelihood.distribution(tf.constant(parameters, tf.float32)).log_prob(tf.constant(x, tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", CONTINUOUS)
def test_density_integrates_to_one(form, figure):
    likelihood = FORMS[form]()
    distribution = one_pixel(likelihood, some_parameters(likelihood, 5))
    x = grid_of(form, distribution)
    integral = np.trapezoid(np.exp(log_prob(distribution, x)), x, axis=0)
    # The trapezoid rule's error is at most step^2 / 12 in standard deviations; float32 log-densities add 1e-6.
    figure(f"Integral of the {form} likelihood, largest error", np.abs(integral - 1).max(), "below 2e-5")
    np.testing.assert_allclose(integral, 1.0, atol=2e-5)


@pytest.mark.parametrize("logit", [-100.0, -5.0, -1e-4, 0.0, 1e-4, 5.0, 100.0])
def test_continuous_bernoulli_integrates_to_one_at_every_logit(logit):
    x = np.linspace(0, 1, 20001)
    density = np.exp(log_prob(one_pixel(ContinuousBernoulli(None), [[logit]]), x)[:, 0])
    np.testing.assert_allclose(np.trapezoid(density, x), 1.0, atol=2e-5)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in CONTINUOUS])
def test_probabilities_sum_to_one_over_the_levels(form):
    likelihood = FORMS[form]()
    extreme = np.array(list(itertools.product([-100.0, 0.0, 1.0, 100.0], repeat=min(likelihood.params_size, 5))))
    for parameters in (some_parameters(likelihood, 20), extreme):
        total = np.exp(log_prob(one_pixel(likelihood, parameters), levels_of(form))).sum(axis=0)
        np.testing.assert_allclose(total, 1.0, atol=1e-5)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_discretized_logistic_sums_to_one_over_as_many_levels_as_the_data_has(levels):
    likelihood = logistic(levels)
    parameters = list(itertools.product([-100.0, 0.0, 0.5, 0.777, 100.0], [-100.0, -3.0, 0.0, 3.0, 100.0]))
    total = np.exp(log_prob(one_pixel(likelihood, parameters), np.linspace(0, 1, levels))).sum(axis=0)
    np.testing.assert_allclose(total, 1.0, atol=1e-5)


def goodness_of_fit(form, likelihood, drawn_at, judged_at, draws=20000):
    """p-value of the test that draws at one parameter vector [P] come from the log_prob at another."""
    sample = one_pixel(likelihood, [drawn_at]).sample(draws, seed=[3, 4]).numpy().reshape(-1).astype(float)
    judge = one_pixel(likelihood, [judged_at])
    if form in CONTINUOUS:
        x = grid_of(form, judge)[:, 0]
        density = np.exp(log_prob(judge, x)[:, 0])
        cdf = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(x))])
        return scipy.stats.kstest(sample, lambda values: np.interp(values, x, cdf)).pvalue
    levels = levels_of(form)
    expected = draws * np.exp(log_prob(judge, levels)[:, 0])
    assert np.all(np.isin(sample, levels.astype(np.float32)))
    assert np.all(expected > 5)  # where the chi-square approximation holds
    observed = np.array([np.sum(np.isclose(sample, level)) for level in levels])
    return scipy.stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue


@every_form
def test_sampler_agrees_with_the_density(form):
    likelihood = FORMS[form]()
    parameters = np.linspace(0.5, -0.5, likelihood.params_size) if likelihood.params_size > 1 else np.array([0.4])
    assert goodness_of_fit(form, likelihood, parameters, parameters) > 1e-3
    # The same test refuses parameters that are a little off, which 20,000 draws tell at 7 standard errors or more.
    for index, step in ((0, -0.1), (-1, 0.2)):
        off = parameters.copy()
        off[index] += step
        assert goodness_of_fit(form, likelihood, parameters, off) < 1e-3


@every_form
@pytest.mark.parametrize("jit", [False, True])
def test_extreme_parameters_give_finite_values_and_gradients(form, jit):
    likelihood = FORMS[form]()
    extreme = (-100.0, -1e-4, 0.0, 1e-4, 1.0, 100.0)
    rows = itertools.product(extreme, repeat=min(likelihood.params_size, 2))
    parameters = np.array([np.resize(row, likelihood.params_size) for row in rows])
    parameters = tf.constant(parameters[:, None, None, :], tf.float32)
    values = (0.0, 0.25, 1.0) if form in CONTINUOUS else levels_of(form)
    x = tf.constant(np.asarray(values)[:, None, None, None, None], tf.float32)

    @tf.function(jit_compile=jit)
    def value_and_gradients(parameters):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            if likelihood.weights:
                likelihood.weights[0].assign(-100.0)  # the shared scale, at its floor
            value = likelihood.distribution(parameters).log_prob(x)
        return value, tape.gradient(value, [parameters, *[weight.value for weight in likelihood.weights]])

    value, gradients = value_and_gradients(parameters)
    assert value.dtype == tf.float32
    for part in (value, *gradients):
        assert np.all(np.isfinite(part))


@every_form
def test_a_channel_s_parameters_move_that_channel_alone(form):
    likelihood, channels = FORMS[form](), 3
    parameters = 0.23 + 0.1 * np.arange(channels * likelihood.params_size, dtype=np.float32)

    def mean(vector):
        return likelihood.distribution(tf.constant(vector[None, None, :])).mean().numpy()[0, 0]

    moved = {channel: [] for channel in range(channels)}
    for index in range(len(parameters)):
        bumped = parameters.copy()
        bumped[index] += 1.0
        for channel in np.flatnonzero(np.abs(mean(bumped) - mean(parameters)) > 1e-6):
            moved[channel].append(index)
    own = {c: list(channel_parameters(form, np.arange(len(parameters)), c, channels)) for c in range(channels)}
    if form.startswith(("normal", "laplace")):
        own = {channel: indices[:1] for channel, indices in own.items()}  # a scale does not move the mean
    assert moved == own


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_discretized_logistic_mean_is_the_mean_of_its_levels(levels):
    distribution = one_pixel(logistic(levels), list(itertools.product([-1.0, 0.0, 0.31, 1.2], [-3.0, 0.0, 2.0])))
    values = np.linspace(0, 1, levels)
    expected = values @ np.exp(log_prob(distribution, values))
    np.testing.assert_allclose(distribution.mean().numpy().reshape(-1), expected, atol=1e-5)


def test_discretized_logistic_equals_differences_of_the_cdf():
    likelihood, levels = logistic(256), 256
    parameters = some_parameters(likelihood, 10, spread=1.0)
    distribution, values = one_pixel(likelihood, parameters), np.linspace(0, 1, levels)
    scale = FLOOR + softplus(parameters[:, 1] + np.log(np.expm1(0.1 - FLOOR)))
    for row, value in zip(log_prob(distribution, values), values, strict=True):
        expected = [
            discretized_logistic_by_hand(value, loc, s, levels) for loc, s in zip(parameters[:, 0], scale, strict=True)
        ]
        np.testing.assert_allclose(row, expected, rtol=2e-5, atol=1e-4)


def continuous_bernoulli_exact(logit, x):
    """log_prob and mean in 80-bit floats; by their series where the formulas cancel."""
    logit = np.asarray(logit, np.longdouble)
    near = np.abs(logit) < 1e-2
    far = np.where(near, 1.0, logit)
    log_integral = np.maximum(far, 0) + np.log(-np.expm1(-np.abs(far)) / np.abs(far))  # log of int exp(logit x) dx
    log_integral = np.where(near, logit / 2 + logit**2 / 24 - logit**4 / 2880, log_integral)
    mean = np.where(near, 0.5 + logit / 12 - logit**3 / 720, 1 / -np.expm1(-far) - 1 / far)
    return logit * x - log_integral, mean


@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("jit", [False, True])
def test_continuous_bernoulli_is_exact_near_one_half_and_far_from_it(x, jit):
    size = np.geomspace(1e-6, 100, 200)
    logits = np.concatenate([-size, [0.0, 1e-4, -1e-4, 100.0, -100.0], size]).astype(np.float32)
    likelihood = ContinuousBernoulli(None)

    @tf.function(jit_compile=jit)
    def evaluate(parameters):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            distribution = likelihood.distribution(parameters)
            value = distribution.log_prob(tf.fill([1, 1, 1], x))
        return value, tape.gradient(value, parameters)[:, 0, 0, 0], distribution.mean()[:, 0, 0, 0]

    value, gradient, mean = evaluate(tf.constant(logits[:, None, None, None]))
    exact, exact_mean = continuous_bernoulli_exact(logits, x)
    np.testing.assert_allclose(value, exact.astype(float), atol=1e-5)
    np.testing.assert_allclose(gradient, (x - exact_mean).astype(float), atol=1e-5)  # an exponential family
    np.testing.assert_allclose(mean, exact_mean.astype(float), atol=1e-5)


def test_continuous_bernoulli_mean_is_that_of_its_density_and_not_the_sigmoid():
    distribution, x = one_pixel(ContinuousBernoulli(None), [[2.0]]), np.linspace(0, 1, 20001)
    integral = np.trapezoid(x * np.exp(log_prob(distribution, x)[:, 0]), x)
    np.testing.assert_allclose(distribution.mean().numpy().item(), integral, atol=1e-5)
    assert abs(integral - scipy.special.expit(2.0)) > 0.2


@pytest.mark.parametrize("pixels", [1, 13, 17, 784])
@pytest.mark.parametrize("jit", [False, True])
def test_bernoulli_log_prob_of_many_pixels_and_its_gradients(pixels, jit):
    """Also where exp overflows, where only small terms are left, and for x without the logits' leading axis."""
    generator = np.random.default_rng(0)
    logits, x = generator.normal(size=(3, 2, pixels)) * 10, generator.integers(0, 2, size=(2, pixels))
    logits[0, 0], logits[1, 1], x[1] = 1e4, -10.0, 0

    @tf.function(jit_compile=jit)
    def total_and_gradients(x, logits):
        with tf.GradientTape() as tape:
            tape.watch((x, logits))
            total = Bernoulli(None, False).distribution(logits).log_prob(x)
            loss = tf.reduce_sum(total * [1.0, -2.0])
        return total, *tape.gradient(loss, (x, logits))

    parts = (tf.constant(part[..., np.newaxis, np.newaxis], tf.float32) for part in (x, logits))
    total, of_x, of_logits = (part.numpy() for part in total_and_gradients(*parts))
    np.testing.assert_allclose(total, (x * logits - np.logaddexp(0, logits)).sum(axis=-1), rtol=1e-6)
    sigmoid = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    np.testing.assert_allclose(of_logits[..., 0, 0], (x - sigmoid) * [[1.0], [-2.0]], rtol=1e-5, atol=3e-7)
    np.testing.assert_allclose(of_x[..., 0, 0], logits.sum(axis=0) * [[1.0], [-2.0]], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("of_x", "of_logits"), [((4, 3), (3,)), ((4, 1), (1, 3)), ((), (4, 3)), ((3,), (2, 4, 3)), ((1,), (3,))]
)
def test_bernoulli_log_prob_and_gradients_broadcast_as_numpy_does(of_x, of_logits):
    generator = np.random.default_rng(0)
    x, logits = (tf.constant(generator.normal(size=(*leading, 2, 2, 1)), tf.float32) for leading in (of_x, of_logits))

    def slowly(x, logits):
        return tf.reduce_sum(x * logits - tf.nn.softplus(logits), axis=[-3, -2, -1])

    found = []
    for log_prob in (lambda x, logits: Bernoulli(None, True).distribution(logits).log_prob(x), slowly):
        with tf.GradientTape() as second:
            second.watch((x, logits))
            with tf.GradientTape() as first:
                first.watch((x, logits))
                value = log_prob(x, logits)
                loss = tf.reduce_sum(value**2)
            gradients = first.gradient(loss, (x, logits))
            squares = sum(tf.reduce_sum(gradient**2) for gradient in gradients)
        found.append((value, *gradients, *second.gradient(squares, (x, logits))))
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-4)


def test_bernoulli_scores_images_whose_shape_is_not_known_while_tracing():
    logits, x = tf.ones((3, 2, 2, 1)), tf.ones((3, 2, 2, 1))

    @tf.function(input_signature=[tf.TensorSpec([None] * 4)])
    def score(x):
        return Bernoulli(None, False).distribution(logits).log_prob(x)

    np.testing.assert_allclose(score(x), [-4 * np.log1p(np.exp(-1))] * 3, rtol=1e-6)


@pytest.mark.parametrize("grey", [False, True])
def test_bernoulli_log_prob_is_minus_the_cross_entropy(grey):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4, 3, 3, 1))
    x = generator.uniform(size=(4, 3, 3, 1))
    x = x if grey else np.round(x)
    p = 1 / (1 + np.exp(-logits))
    cross_entropy = -np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), axis=(1, 2, 3))
    found = Bernoulli(None, grey).distribution(tf.constant(logits, tf.float32)).log_prob(tf.constant(x, tf.float32))
    np.testing.assert_allclose(found, -cross_entropy, rtol=1e-5)


def test_normal_of_unit_scale_is_half_the_squared_error():
    generator = np.random.default_rng(0)
    x, loc = generator.uniform(size=(2, 4, 3, 3, 2))
    found = make(Normal).distribution(tf.constant(loc, tf.float32)).log_prob(tf.constant(x, tf.float32))
    expected = -0.5 * np.sum((x - loc) ** 2, axis=(1, 2, 3)) - 9 * np.log(2 * np.pi)  # 18 dimensions / 2
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_normal_at_the_best_scale_is_the_log_of_the_mean_squared_error():
    generator = np.random.default_rng(0)
    x, loc = generator.uniform(size=(2, 50, 4, 4, 1))
    squared_error = np.mean((x - loc) ** 2)
    best = -(16 / 2) * np.log(2 * np.pi * np.e * squared_error)

    def mean_log_prob(scale):
        distribution = make(Normal, "shared", scale).distribution(tf.constant(loc, tf.float32))
        return np.mean(distribution.log_prob(tf.constant(x, tf.float32)))

    np.testing.assert_allclose(mean_log_prob(np.sqrt(squared_error)), best, rtol=1e-5)
    assert mean_log_prob(0.9 * np.sqrt(squared_error)) < best - 0.1
    assert mean_log_prob(1.1 * np.sqrt(squared_error)) < best - 0.1


@pytest.mark.parametrize("kind", [Normal, Laplace])
@pytest.mark.parametrize("scale", ["fixed", "shared", "per_pixel"])
def test_scale_starts_as_given(kind, scale):
    likelihood = make(kind, scale, 0.3)
    distribution = likelihood.distribution(tf.zeros((1, 1, likelihood.params_size)))
    deviation = 0.3 * np.sqrt(2) if kind is Laplace else 0.3
    np.testing.assert_allclose(distribution.stddev().numpy().item(), deviation, rtol=1e-5)
    assert len(likelihood.trainable_variables) == (scale == "shared")


@pytest.mark.parametrize("kind", [Normal, Laplace])
def test_per_pixel_scale_stops_at_its_floor(kind):
    deviation = one_pixel(make(kind, "per_pixel"), [[0.0, -100.0]]).stddev().numpy().item()
    np.testing.assert_allclose(deviation, FLOOR * (np.sqrt(2) if kind is Laplace else 1), rtol=1e-6)


@pytest.mark.parametrize("kind", [Normal, Laplace])
def test_loc_activation_maps_the_mean(kind):
    values = np.array([[-2.0], [0.5]])
    linear = one_pixel(make(kind), values).mean().numpy().reshape(-1)
    squashed = one_pixel(make(kind, loc_activation="sigmoid"), values).mean().numpy().reshape(-1)
    np.testing.assert_allclose(linear, values[:, 0], rtol=1e-6)
    np.testing.assert_allclose(squashed, scipy.special.expit(values[:, 0]), rtol=1e-6)


@pytest.mark.parametrize("kind", ["normal", "laplace", "discretized_logistic"])
def test_shared_scale_learns(kind):
    likelihood = FORMS[f"{kind}-shared"]()
    with tf.GradientTape() as tape:
        value = likelihood.distribution(tf.fill([2, 2, 1], 0.4)).log_prob(tf.ones([2, 2, 1]))
    assert abs(float(tape.gradient(value, likelihood.trainable_variables)[0])) > 0.01


OPTIONS = ("bernoulli", "categorical", "continuous_bernoulli", "discretized_logistic", "laplace", "normal")
