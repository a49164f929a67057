"""Bounds that stand between others, against those others draw by draw, closed forms and exactly solvable models."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from test_importance_toy import VARIANCE, Toy, largest_t

from vae_lab.binarization import intensities
from vae_lab.config import compose, options, parts
from vae_lab.config.checks.facts import fact
from vae_lab.posterior.mvn_diag import MVNDiag

ORDERS = [-math.inf, -50.0, -5.0, -1.0, 0.0, 0.3, 0.995, 1.0, 1.005, 2.0, 10.0]
SEED = 7
SEED_TENSOR = tf.constant([0, SEED])


def estimator_of(name, **settings):
    """An option of the folder with other settings."""
    return parts.make(compose.plain(options.read_option("estimator", name)) | settings)


def images(pixels, rows=6):
    found, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    return intensities(found[:rows], levels)


def terms_and_gradients(built, x, name, seed=SEED, **settings):
    """An estimator's terms, and the gradients of its loss's sum by part."""
    estimator = estimator_of(name, **settings)
    model = built.model
    weights = {part: getattr(model, part).trainable_variables for part in ("encoder", "posterior", "decoder", "prior")}
    with tf.GradientTape() as tape:
        terms = estimator(model, x, tf.constant([0, seed]))
        loss = tf.reduce_sum(terms.loss)
    found = tape.gradient(loss, weights)
    return terms, {
        part: [tf.zeros_like(w.value) if g is None else g for w, g in zip(weights[part], found[part], strict=True)]
        for part in weights
    }


def assert_same_gradients(one, other, parts, rtol=1e-4):
    """Equal up to float32: to `rtol` of each weight tensor's largest entry."""
    for part in parts:
        for a, b in zip(one[part], other[part], strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b.numpy()).max(), err_msg=part)


def log_weights(built, x, groups, samples, seed=SEED):
    """log w [M,K,B] of the draws that the estimators see."""
    q = built.model.encode(x)
    z = q.sample((groups, samples), seed=tf.constant([0, seed]))
    return built.model.decode(z).log_prob(x) + built.model.latent_prior().log_prob(z) - q.log_prob(z)


def some_log_weights(dtype=np.float32):
    """Two groups of five log weights for each of 300 images, as far apart as those of images."""
    rng = np.random.default_rng(5)
    return tf.constant((-100 + rng.gamma(2.0, 4.0, size=(2, 5, 300))).astype(dtype))


@pytest.mark.parametrize(
    ("alpha", "name"), [(1, "monte_carlo"), (0, "importance_weighted"), (0, "multiply_importance_weighted")]
)
def test_renyi_at_its_known_orders_is_the_estimator_of_that_order(program, alpha, name):
    """Value and gradient, of the same draws."""
    _, pixels, built = program("training.jit=false")
    x, many = images(pixels), {"samples": 3, "groups": 2}
    terms, gradients = terms_and_gradients(built, x, "renyi", alpha=alpha, **many)
    expected, expected_gradients = terms_and_gradients(built, x, name, **many)
    for one, other in zip(terms, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert_same_gradients(gradients, expected_gradients, ("encoder", "decoder"))
    if alpha == 0:
        np.testing.assert_array_equal(terms.bound, expected.bound)


@pytest.mark.parametrize("alpha", [-math.inf, "-Infinity", -1e30])
def test_renyi_of_order_minus_infinity_is_the_largest_weight(program, alpha):
    """And its gradient that of the one sample; as it is in its limit, without an overflow."""
    _, pixels, built = program("training.jit=false")
    x = images(pixels)
    terms, gradients = terms_and_gradients(built, x, "renyi", alpha=alpha, samples=4, groups=2)
    model = built.model
    weights = {part: getattr(model, part).trainable_variables for part in ("encoder", "decoder")}
    with tf.GradientTape() as tape:
        log_weight = log_weights(built, x, 2, 4)
        chosen = tf.one_hot(tf.argmax(log_weight, axis=1), 4, axis=1)
        loss = -tf.reduce_sum(chosen * log_weight) / 2
    np.testing.assert_allclose(terms.bound, np.mean(np.max(log_weight, axis=1), axis=0), rtol=1e-6)
    assert_same_gradients(gradients, tape.gradient(loss, weights), ("encoder", "decoder"))


@pytest.mark.parametrize("distance", [3e-2, 1e-3, 1e-5, 1e-8, 1e-12, -1e-12, -1e-8, -1e-5, -1e-3, -3e-2])
def test_renyi_near_order_one_follows_its_expansion_in_float32(distance):
    """L_alpha = mean + (1 - alpha) var / 2 + (1 - alpha)^2 skew / 6 + ..., the cumulants of the log weights."""
    log_weight = some_log_weights()
    exact = log_weight.numpy().astype(float)
    centred = exact - exact.mean(axis=1, keepdims=True)
    cumulants = [exact.mean(axis=1), (centred**2).mean(axis=1), (centred**3).mean(axis=1)]
    expansion = sum(c * distance**n / math.factorial(n + 1) for n, c in enumerate(cumulants))
    remainder = np.abs(distance) ** 3 * (centred**4).max(axis=1) / 6
    found = estimator_of("renyi", alpha=1 - distance).of_groups(log_weight).numpy()
    assert np.all(np.abs(found - expansion) <= remainder + 3e-5)


@pytest.mark.parametrize("alpha", [order for order in ORDERS if math.isfinite(order)])
def test_renyi_gradient_is_the_weights_to_the_power_of_one_less_alpha(alpha):
    """Normalized within each group (section 4.2), near order one as elsewhere."""
    log_weight = some_log_weights(np.float64)
    with tf.GradientTape() as tape:
        tape.watch(log_weight)
        total = tf.reduce_sum(estimator_of("renyi", alpha=alpha).of_groups(log_weight))
    np.testing.assert_allclose(
        tape.gradient(total, log_weight), tf.nn.softmax((1 - alpha) * log_weight, axis=1), rtol=1e-9, atol=1e-300
    )


def test_renyi_falls_in_its_order_for_the_same_draws():
    log_weight = some_log_weights(np.float64)
    bounds = np.stack([estimator_of("renyi", alpha=alpha).of_groups(log_weight) for alpha in ORDERS])
    assert np.all(np.diff(bounds, axis=0) < 0)


def renyi_divergence(alpha, loc, scale2, other_loc, other_scale2):
    """D_alpha of two diagonal Gaussians (Gil, Alajaji, Linder 2013, table 2), summed over dimensions."""
    mixed = alpha * other_scale2 + (1 - alpha) * scale2
    logs = 0.5 * np.log(other_scale2 / scale2) + 0.5 / (alpha - 1) * np.log(other_scale2 / mixed)
    return np.sum(logs + alpha * (loc - other_loc) ** 2 / (2 * mixed))


@pytest.mark.parametrize("alpha", [-1.0, 0.25, 0.5, 0.75])
def test_renyi_tends_to_log_likelihood_less_the_divergence(alpha, figure):
    """exp((1 - alpha) (L - limit)) has mean one for every K, and no spread as K grows."""
    toy = Toy(2000, offset=0.1)
    loc, posterior = toy.features(toy.x).numpy()[0], ((toy.x + toy.mu) / 2).numpy()[0]
    limit = toy.log_likelihood() - renyi_divergence(alpha, loc, VARIANCE, posterior, 1 / 2)
    ratios = {}
    for samples in (10, 1000):
        estimator = estimator_of("renyi", alpha=alpha, samples=samples)
        bound = tf.function(estimator, jit_compile=True)(toy, toy.x, tf.constant([1, samples])).bound.numpy()
        ratios[samples] = np.exp((1 - alpha) * (bound - limit)) - 1
        t = ratios[samples].mean() / (ratios[samples].std(ddof=1) / np.sqrt(len(bound)))
        figure(f"t of the Renyi bound of order {alpha} against the divergence's closed form, K = {samples}", t, "±4")
        assert abs(t) < 4
    assert ratios[1000].std() < ratios[10].std() / 5


@pytest.mark.parametrize(
    "overrides",
    [
        ("prior=mvn",),
        ("prior=mixture", "prior.components=5"),
        ("prior=flow",),
        ("prior=vamp", "prior.components=7"),
        ("prior=mvn", "posterior=iaf", "posterior.hidden=[8]"),
    ],
    ids=lambda overrides: "-".join(overrides[:2]),
)
def test_partially_importance_weighted_has_two_gradients(program, overrides):
    """IWAE's of all samples for decoder and prior and MIWAE's for encoder and posterior, draw by draw."""
    _, pixels, built = program("training.jit=false", "estimator=monte_carlo", *overrides)
    x = images(pixels)
    terms, gradients = terms_and_gradients(built, x, "partially_importance_weighted", samples=4, groups=3)
    pooled, of_all = terms_and_gradients(built, x, "importance_weighted", samples=12, groups=1)
    _, of_groups = terms_and_gradients(built, x, "importance_weighted", samples=4, groups=3)
    assert_same_gradients(gradients, of_all, ("decoder", "prior"))
    assert_same_gradients(gradients, of_groups, ("encoder", "posterior"))
    for part in ("encoder", "decoder"):  # the two differ by more than the test would let pass
        with pytest.raises(AssertionError):
            assert_same_gradients(of_all, of_groups, (part,), rtol=1e-2)
    np.testing.assert_allclose(terms.bound, pooled.bound, rtol=1e-6)
    np.testing.assert_allclose(terms.loss, -pooled.bound, rtol=1e-6)
    np.testing.assert_allclose(terms.elbo, pooled.elbo, rtol=1e-6)


def test_partially_importance_weighted_with_one_group_is_importance_weighted(program):
    _, pixels, built = program("training.jit=false", "prior=vamp", "prior.components=7", "estimator=monte_carlo")
    x = images(pixels)
    terms, gradients = terms_and_gradients(built, x, "partially_importance_weighted", samples=5, groups=1)
    expected, expected_gradients = terms_and_gradients(built, x, "importance_weighted", samples=5, groups=1)
    np.testing.assert_allclose(terms.loss, expected.loss, rtol=1e-6)
    assert_same_gradients(gradients, expected_gradients, ("encoder", "decoder", "prior"))


@pytest.mark.parametrize("elbo_weight", [0, 0.05, 0.5, 1])
def test_combination_is_the_stated_one(program, elbo_weight):
    """Value and gradient, of the same draws."""
    _, pixels, built = program("training.jit=false")
    x, many = images(pixels), {"samples": 4, "groups": 2}
    terms, gradients = terms_and_gradients(built, x, "combination_importance_weighted", elbo_weight=elbo_weight, **many)
    elbo, of_elbo = terms_and_gradients(built, x, "monte_carlo", **many)
    tighter, of_tighter = terms_and_gradients(built, x, "importance_weighted", **many)
    mixed = elbo_weight * elbo.bound + (1 - elbo_weight) * tighter.bound
    np.testing.assert_allclose(terms.bound, mixed, rtol=1e-6)
    np.testing.assert_array_equal(terms.loss, -terms.bound)
    np.testing.assert_allclose(terms.elbo, elbo.elbo, rtol=1e-6)
    for part in ("encoder", "decoder"):
        expected = [
            elbo_weight * a + (1 - elbo_weight) * b for a, b in zip(of_elbo[part], of_tighter[part], strict=True)
        ]
        assert_same_gradients(gradients, {part: expected}, (part,))


def test_combination_ends_at_the_two_bounds_exactly():
    log_weight = some_log_weights()
    for elbo_weight, bound in (
        (0, estimator_of("importance_weighted").of_groups(log_weight)),
        (1, tf.reduce_mean(log_weight, axis=1)),
    ):
        made = estimator_of("combination_importance_weighted", elbo_weight=elbo_weight)
        np.testing.assert_array_equal(made.of_groups(log_weight), bound)


def test_partition_has_equal_ratios_from_its_smallest_point_up():
    made = estimator_of("thermodynamic", intervals=4, smallest_beta=1e-3).partition
    np.testing.assert_allclose(made, [0, 1e-3, 1e-2, 1e-1, 1], rtol=1e-12)
    np.testing.assert_array_equal(estimator_of("thermodynamic", intervals=1).partition, [0, 1])
    given = estimator_of("thermodynamic", partition=[0, 0.25, 1])
    np.testing.assert_array_equal(given.partition, [0, 0.25, 1])


def test_thermodynamic_sums_stand_around_the_importance_weighted_bound_for_the_same_draws():
    """The estimated integrand rises in b from the ELBO, and its integral is log (1/K) sum_k w_k."""
    log_weight = some_log_weights(np.float64)
    integral = tfp.math.reduce_logmeanexp(log_weight, axis=1).numpy()
    widths = []
    for intervals in (1, 2, 5, 20, 500):
        left, right = estimator_of("thermodynamic", intervals=intervals, smallest_beta=1e-3).sums(log_weight)
        assert np.all(np.mean(log_weight, axis=1) - 1e-9 <= left)
        assert np.all(left < integral)
        assert np.all(integral < right)
        widths.append(np.max(right - left))
        if intervals == 1:
            np.testing.assert_allclose(left, np.mean(log_weight, axis=1), rtol=1e-12)
    assert np.all(np.diff(widths) < 0)
    assert widths[-1] < 0.1


def test_thermodynamic_with_one_interval_is_the_elbo(program):
    _, pixels, built = program("training.jit=false")
    x, many = images(pixels), {"samples": 4, "groups": 2}
    terms, _ = terms_and_gradients(built, x, "thermodynamic", intervals=1, **many)
    elbo, _ = terms_and_gradients(built, x, "monte_carlo", **many)
    for one, other in zip(terms, elbo, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def exact_integrand(toy, beta):
    """E_b[log w] [B] of the toy, by Gaussian integrals: q w^b is Gaussian in each dimension."""
    loc, posterior = toy.features(toy.x), (toy.x + toy.mu) / 2
    precision = (1 - beta) / VARIANCE + beta / 0.5
    mean = ((1 - beta) * loc / VARIANCE + beta * posterior / 0.5) / precision

    def expected_log_density(center, variance):
        return -0.5 * (np.log(2 * np.pi * variance) + ((mean - center) ** 2 + 1 / precision) / variance)

    difference = expected_log_density(posterior, 0.5) - expected_log_density(loc, VARIANCE)
    evidence = tfp.distributions.Normal(toy.mu, tf.constant(2**0.5, tf.float64)).log_prob(toy.x)
    return tf.reduce_sum(difference + evidence, axis=-1)


def exact_sums(toy, partition):
    """Left and right Riemann sums [B] of the exact integrand."""
    at_points = [exact_integrand(toy, beta) for beta in partition]
    widths = np.diff(partition)
    return (
        sum(width * value for width, value in zip(widths, at_points[:-1], strict=True)),
        sum(width * value for width, value in zip(widths, at_points[1:], strict=True)),
    )


@pytest.mark.parametrize("intervals", [1, 3, 10, 100])
def test_thermodynamic_sums_bracket_the_log_likelihood_and_meet_it(intervals, figure):
    """On the Gaussian toy by 20,000 samples a draw, and as exact integrals."""
    toy, samples = Toy(40, offset=0.1), 20_000
    estimator = estimator_of("thermodynamic", intervals=intervals, smallest_beta=0.02, samples=samples)
    z = toy.encode(toy.x).sample((1, samples), seed=(3, intervals))
    log_weight = toy.decode(z).log_prob(toy.x) + toy.latent_prior().log_prob(z) - toy.encode(toy.x).log_prob(z)
    exact = [float(one[0]) for one in exact_sums(toy, estimator.partition)]
    log_likelihood = toy.log_likelihood()
    assert exact[0] < log_likelihood < exact[1]
    for side, found, value in zip(("left", "right"), estimator.sums(log_weight), exact, strict=True):
        found = found.numpy()[0]
        error = found.std(ddof=1) / np.sqrt(len(found))
        figure(
            f"log p less the {side} thermodynamic sum, {intervals} intervals",
            log_likelihood - found.mean(),
            f"{log_likelihood - value:.4g} exactly",
        )
        assert abs(found.mean() - value) < 4 * error
    if intervals == 100:
        assert exact[1] - exact[0] < 0.1


def thermodynamic_gradients(toy, samples, calls, **settings):
    """Gradients of b and mu [N,D] of the bound, by N = draws * calls independent estimates."""
    estimator = estimator_of("thermodynamic", samples=samples, **settings)

    @tf.function(jit_compile=True)
    def one_call(number):
        with tf.GradientTape() as tape:
            tape.watch([toy.b, toy.mu])
            bound = -tf.reduce_sum(estimator(toy, toy.x, tf.stack([number, samples])).loss)
        return tape.gradient(bound, [toy.b, toy.mu])

    parts = [[part.numpy() for part in one_call(tf.constant(number))] for number in range(calls)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def exact_gradients(toy, partition):
    with tf.GradientTape() as tape:
        tape.watch([toy.b, toy.mu])
        left = tf.reduce_sum(exact_sums(toy, partition)[0])
    return [gradient.numpy()[:1] for gradient in tape.gradient(left, [toy.b, toy.mu])]


@pytest.mark.parametrize("samples", [2, 10])
def test_thermodynamic_gradient_of_one_interval_is_unbiased_for_every_k(samples, figure):
    """It is the score-function gradient of the ELBO with the other samples as its baseline."""
    toy = Toy(20_000, offset=0.3)
    exact = exact_gradients(toy, [0.0, 1.0])
    for found, expected, part in zip(
        thermodynamic_gradients(toy, samples, 1, intervals=1), exact, ("encoder", "prior"), strict=True
    ):
        t = largest_t(found, expected)
        figure(f"Largest t, thermodynamic gradient of one interval for the {part}, K = {samples}", t, "below 4")
        assert t < 4


def test_thermodynamic_gradient_is_that_of_the_exact_left_sum(figure):
    """By autodiff of the closed form. The bias of order 1/K is far below the noise at this K."""
    toy = Toy(20, offset=0.1)
    settings = {"intervals": 4, "smallest_beta": 0.1}
    exact = exact_gradients(toy, estimator_of("thermodynamic", **settings).partition)
    for found, expected, part in zip(
        thermodynamic_gradients(toy, 20_000, 10, **settings), exact, ("encoder", "prior"), strict=True
    ):
        t = largest_t(found, expected)
        figure(f"Largest t, thermodynamic gradient of four intervals for the {part}", t, "below 4")
        assert t < 4
        # What is tested is no small thing: the gradient stands out from its noise.
        assert np.abs(found.mean(axis=0) / (found.std(axis=0) / np.sqrt(len(found)))).max() > 20


def cut(distribution):
    """A posterior's `distribution` whose draws pass no gradient."""

    def made(self, features, stop_gradient=False):
        q = distribution(self, features, stop_gradient)
        sample = q.sample
        q.sample = lambda *args, **kwargs: tf.stop_gradient(sample(*args, **kwargs))
        return q

    return made


OF_GAUSSIAN_LATENTS = [
    name
    for name in options.option_names("estimator")
    if not fact(options.read_option("estimator", name), "needs_relaxed")
]


@pytest.mark.parametrize("name", OF_GAUSSIAN_LATENTS)
def test_needs_reparameterized_fact_is_true(program, monkeypatch, name):
    """The encoder's gradient changes where the draws pass none, or it does not."""
    _, pixels, built = program("training.jit=false")
    x = images(pixels)
    _, whole = terms_and_gradients(built, x, name, samples=3, groups=2)
    monkeypatch.setattr(MVNDiag, "distribution", cut(MVNDiag.distribution))
    _, without = terms_and_gradients(built, x, name, samples=3, groups=2)
    same = all(np.array_equal(a, b) for a, b in zip(whole["encoder"], without["encoder"], strict=True))
    assert same != fact(options.read_option("estimator", name), "needs_reparameterized", True)


@pytest.mark.parametrize("name", OF_GAUSSIAN_LATENTS)
def test_other_facts_of_estimators_are_true(program, name):
    """Loops over the latents of a flow where it needs fast densities; a loss that beta changes; samples enough."""
    option = options.read_option("estimator", name)
    _, pixels, built = program("training.jit=false", "posterior=iaf", "posterior.hidden=[8]", "estimator=monte_carlo")
    if not fact(option, "needs_closed_form_kl"):
        estimator = estimator_of(name, samples=3)
        compute = tf.function(lambda x: estimator(built.model, x, SEED_TENSOR))
        operations = compute.get_concrete_function(images(pixels)).graph.get_operations()
        loops = any(operation.type in ("While", "StatelessWhile") for operation in operations)
        assert loops == bool(fact(option, "needs_fast_log_prob"))
    _, pixels, built = program("training.jit=false")
    least = fact(option, "least_samples", 1)
    losses = [
        terms_and_gradients(built, images(pixels), name, samples=least, beta=beta)[0].loss.numpy() for beta in (1, 3)
    ]
    assert np.all(np.isfinite(losses))
    assert np.array_equal(*losses) != fact(option, "weighs_rate")
    if least > 1:
        try:
            terms, _ = terms_and_gradients(built, images(pixels), name, samples=least - 1)
        except ZeroDivisionError:
            return
        assert np.all(np.isnan(terms.loss))
