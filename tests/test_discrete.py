"""Discrete latents, where everything can be enumerated: densities, bounds, and the mean gradient of each estimator."""

import io
import itertools
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from PIL import Image
from scipy.special import expit, logsumexp, softmax
from test_importance_toy import Toy, largest_t, run
from test_pictures import subject_of

from vae_lab.config import compose, options, parts
from vae_lab.config.checks.facts import fact
from vae_lab.config.settings import settings_of
from vae_lab.data.images import Images
from vae_lab.errors import UsageError
from vae_lab.evaluation.aggregate import AggregateEvaluator
from vae_lab.evaluation.latent import marginal_kl, marginals
from vae_lab.evaluation.pictures import CHEAP, named
from vae_lab.evaluation.pictures.gallery import final_pictures
from vae_lab.evaluation.pictures.traversals import traversal_states, traversals
from vae_lab.layers.spaces import nearest_state
from vae_lab.protocols import Terms

tfd = tfp.distributions

SEED = tf.constant([3, 5])
IMAGE = (1, 4, 1)
X = tf.constant([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]])[:, tf.newaxis, :, tf.newaxis]
BITS, CATEGORIES = ("posterior=bernoulli", "latent_size=3"), ("posterior=categorical", "posterior.categories=3")
# Every posterior with every prior over the same space.
MODELS = {
    "bits": (*BITS, "prior=bernoulli"),
    "bits, learned": (*BITS, "prior=bernoulli", "prior.learned=true"),
    "bits, autoregressive": (*BITS, "prior=autoregressive", "prior.hidden=[4]"),
    "bits, vamp": (*BITS, "prior=vamp", "prior.components=2"),
    "categories": (*CATEGORIES, "latent_size=6", "prior=categorical"),
    "categories, learned": (*CATEGORIES, "latent_size=6", "prior=categorical", "prior.learned=true"),
    "categories, vamp": (*CATEGORIES, "latent_size=6", "prior=vamp", "prior.components=2"),
}


@cache
def model_of(name, spread=0.7):
    """A model of two images of four binary pixels, with linear networks and weights far from where they start."""
    cfg = compose.compose_unchecked("data=mnist", "encoder=linear", "decoder=linear", *MODELS[name])
    model = parts.make_model(settings_of(cfg), IMAGE, 2)
    rng = np.random.default_rng(6)
    for weight in model.weights:
        moved = rng.uniform(size=weight.shape) if "pseudo_inputs" in weight.path else rng.normal(size=weight.shape)
        weight.assign(moved if "pseudo_inputs" in weight.path else moved * spread)
    return model


def all_latents(model):
    """Every discrete latent, [n, L]."""
    states = model.space.states
    groups = model.latent_shape[0] // states.shape[1]
    return np.stack([np.concatenate(each) for each in itertools.product(states, repeat=groups)])


def enumerated(model, x):
    """log q(z|x) and log p(x, z) of every latent z, [n, B]."""
    z = all_latents(model)
    log_likelihood = model.decode(np.repeat(z[:, np.newaxis], len(x), axis=1)).log_prob(x)
    return model.encode(x).log_prob(z[:, np.newaxis]), log_likelihood + model.latent_prior().log_prob(z)[:, tf.newaxis]


def exact_elbo(model, x, weight=1.0):
    """E_q [log p(x|z) + weight (log p(z) - log q(z|x))], [B], by enumeration."""
    log_q, log_joint = enumerated(model, x)
    log_prior = model.latent_prior().log_prob(all_latents(model))[:, tf.newaxis]
    return tf.reduce_sum(tf.exp(log_q) * (log_joint - log_prior + weight * (log_prior - log_q)), axis=0)


def exact_bound(model, x, samples):
    """L_K, [B], by enumeration of all K-tuples of latents."""
    log_q, log_joint = enumerated(model, x)
    tuples = np.array(list(itertools.product(range(len(log_q)), repeat=samples)))
    probability = tf.exp(tf.reduce_sum(tf.gather(log_q, tuples), axis=1))
    return tf.reduce_sum(probability * tfp.math.reduce_logmeanexp(tf.gather(log_joint - log_q, tuples), axis=1), axis=0)


def estimator_of(name, **settings):
    return parts.make({**options.read_option("estimator", name), **settings})


def as_vector(gradients):
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)


def exact_gradient(model, x, value):
    """The gradient of minus the mean over images of value(model, x), by all weights as one vector."""
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(value(model, x))
    return as_vector(tape.gradient(loss, model.trainable_variables)).numpy().astype(float)


def drawn(model, x, estimator, count, epoch=None):
    """`count` independent draws of an estimator's gradient [count, weights] and of its terms [count, 5, B]."""

    @tf.function(jit_compile=count > 1000)
    def estimates():
        def one(number):
            with tf.GradientTape() as tape:
                terms = estimator(model, x, tf.stack([number, 1]), epoch)
                loss = tf.reduce_mean(terms.loss)
            return as_vector(tape.gradient(loss, model.trainable_variables)), tf.stack(terms)

        return tf.map_fn(one, tf.range(count), fn_output_signature=(tf.float32, tf.float32))

    return [part.numpy().astype(float) for part in estimates()]


def t_of(values, expected):
    """|t| of the mean of values [N, ...] against what it should be."""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return np.abs(values.mean(axis=0) - expected) / np.maximum(error, 1e-6)


def of_encoder(model):
    """Which entries of a gradient are the encoder's: the decoder's noise is the same under any prior."""
    encoder = {id(weight) for weight in model.encoder.trainable_variables}
    return np.concatenate([np.full(int(np.prod(w.shape)), id(w) in encoder) for w in model.trainable_variables])


def variance(gradients):
    """Sum over weights of the variance of one draw."""
    return gradients.var(axis=0, ddof=1).sum()


# Distributions.


@pytest.mark.parametrize("name", MODELS)
def test_densities_sum_to_one_and_samplers_agree_with_them(name, figure):
    """Of posterior and prior, over all latents; the frequency of each latent within 4 standard errors."""
    model, count = model_of(name), 40_000
    z = all_latents(model)
    for what, distribution in (("q", model.encode(X[:1])), ("p", model.latent_prior())):
        each = z[:, np.newaxis] if what == "q" else z
        probability = np.exp(distribution.log_prob(each).numpy().astype(float).reshape(-1))
        figure(f"Sum over all latents of {what}(z), {name}", probability.sum(), "1 ± 1e-5")
        assert probability.sum() == pytest.approx(1.0, abs=1e-5)
        draws = distribution.sample(count, seed=SEED).numpy().reshape(count, -1)
        assert draws.dtype == np.float32
        counted = np.array([(draws == latent).all(axis=1).sum() for latent in z])
        assert counted.sum() == count
        error = np.sqrt(probability * (1 - probability) / count)
        assert np.all(np.abs(counted / count - probability) < 4 * error)
        if what == "q":
            np.testing.assert_allclose(distribution.mean()[0], probability @ z, rtol=1e-5)
            entropy = -np.sum(probability * np.log(probability))
            np.testing.assert_allclose(distribution.entropy(), [entropy], rtol=1e-5)


@pytest.mark.parametrize("name", ["bits", "bits, learned", "categories", "categories, learned"])
def test_closed_form_kl_is_the_enumerated_one_and_the_hand_formula(name, figure):
    model = model_of(name)
    log_q, z = model.encode(X).log_prob(all_latents(model)[:, np.newaxis]).numpy().astype(float), all_latents(model)
    enumerated_kl = np.sum(np.exp(log_q) * (log_q - model.latent_prior().log_prob(z).numpy()[:, np.newaxis]), axis=0)
    kl = tfd.kl_divergence(model.encode(X), model.latent_prior())
    features = model.features(X).numpy().astype(float)
    logits = np.zeros(model.latent_shape) if "learned" not in name else model.prior.logits.numpy().astype(float)
    if name.startswith("bits"):
        q, p = (np.stack([1 - prob, prob], axis=-1) for prob in (expit(features), expit(logits)))
    else:
        q, p = (softmax(each, axis=-1) for each in (features.reshape(2, 2, 3), logits.reshape(2, 3)))
    by_hand = np.sum(q * np.log(q / p), axis=(-1, -2))
    error = np.abs(kl / by_hand - 1).max()
    figure(f"KL(q, p) of {name}, closed form against the hand formula, relative error", error, "below 1e-5")
    np.testing.assert_allclose(kl, by_hand, rtol=1e-5)
    np.testing.assert_allclose(enumerated_kl, by_hand, rtol=1e-5)


def test_autoregressive_prior_is_its_conditionals_one_by_one():
    """log p(z) in one pass is the sum of log p(z_i | the bits before), each by summing the joint over what follows."""
    model = model_of("bits, autoregressive", spread=2.0)
    joint = np.exp(model.latent_prior().log_prob(all_latents(model)).numpy().astype(float)).reshape(2, 2, 2)
    first, second = joint.sum(axis=(1, 2)), joint.sum(axis=2)
    logits = model.prior.network.numbers(all_latents(model)).numpy().astype(float).reshape(2, 2, 2, 3)
    np.testing.assert_allclose(np.ptp(logits[..., 0]), 0.0, atol=1e-6)
    np.testing.assert_allclose(expit(logits[0, 0, 0, 0]), first[1], rtol=1e-5)
    np.testing.assert_allclose(expit(logits[:, 0, 0, 1]), second[:, 1] / first, rtol=1e-5)
    np.testing.assert_allclose(expit(logits[:, :, 0, 2]), joint[:, :, 1] / second, rtol=1e-5)
    independent = first[1] * joint.sum(axis=(0, 2))[1] * joint.sum(axis=(0, 1))[1]
    assert abs(joint[1, 1, 1] / independent - 1) > 0.05


def test_autoregressive_prior_with_a_network_at_zero_is_the_factorized_one():
    logits = np.array([0.3, -1.2, 2.0], np.float32)
    prior = parts.make({**options.read_option("prior", "autoregressive"), "hidden": [5]}, latent_shape=(3,))
    for weight in prior.weights:
        weight.assign(tf.zeros(weight.shape))
    prior.network.biases[-1].assign(logits)
    learned = parts.make({**options.read_option("prior", "bernoulli"), "learned": True}, latent_shape=(3,))
    learned.logits.assign(logits)
    z = all_latents(model_of("bits"))
    np.testing.assert_allclose(prior.distribution(None).log_prob(z), learned.distribution(None).log_prob(z), rtol=1e-6)


@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_uniform_priors_are_uniform_and_learned_ones_start_there(name):
    settings = {**options.read_option("prior", name)}
    z = all_latents(model_of("bits" if name == "bernoulli" else "categories"))
    for learned in (False, True):
        made = {**settings, "learned": learned} | ({"categories": 3} if name == "categorical" else {})
        prior = parts.make(made, latent_shape=(z.shape[1],))
        assert len(prior.weights) == learned
        np.testing.assert_allclose(prior.distribution(None).log_prob(z), np.full(len(z), -np.log(len(z))), rtol=1e-6)


@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_a_grid_of_discrete_latents_is_the_flat_one(name):
    settings = {**options.read_option("posterior", name)} | ({"categories": 3} if name == "categorical" else {})
    part, flat = parts.make(settings, latent_size=6), parts.make(settings, latent_size=2 * 5 * 6)
    rows = tf.constant(np.random.default_rng(0).normal(size=(4, 2, 5, 6)), tf.float32)
    q, q_flat = part.distribution(rows), flat.distribution(tf.reshape(rows, (4, 60)))
    z = q.sample(7, seed=SEED)
    assert z.shape == (7, 4, 2, 5, 6)
    np.testing.assert_allclose(q.log_prob(z), q_flat.log_prob(tf.reshape(z, (7, 4, 60))), rtol=1e-5)
    np.testing.assert_allclose(q.entropy(), q_flat.entropy(), rtol=1e-5)
    y = part.relaxed_distribution(rows, 0.5).sample(7, seed=SEED)
    assert y.shape == z.shape
    hard = nearest_state(y, part.space.states).numpy()
    np.testing.assert_array_equal(hard.reshape(7, 4, 60), nearest_state(tf.reshape(y, (7, 4, 60)), flat.space.states))


@pytest.mark.parametrize("name", ["bits", "categories"])
@pytest.mark.parametrize("temperature", [0.1, 2.0])
def test_the_state_nearest_to_a_relaxed_draw_is_a_draw_of_the_posterior(name, temperature):
    model, count = model_of(name), 40_000
    features, z = model.features(X[:1]), all_latents(model)
    y = model.posterior.relaxed_distribution(features, temperature).sample(count, seed=SEED)
    drawn_states = nearest_state(y, model.space.states).numpy()[:, 0]
    probability = np.exp(model.posterior.distribution(features).log_prob(z[:, np.newaxis]).numpy().astype(float))[:, 0]
    counted = np.array([(drawn_states == latent).all(axis=1).sum() for latent in z])
    assert counted.sum() == count
    assert np.all(np.abs(counted / count - probability) < 4 * np.sqrt(probability * (1 - probability) / count))
    distance = np.abs(y.numpy()[:, 0] - drawn_states).mean()
    assert distance < 0.05 if temperature == 0.1 else distance > 0.2


def test_nearest_state_by_hand():
    bits, one_hot = np.array([[0.0], [1.0]], np.float32), np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(nearest_state(tf.constant([[0.2, 0.7, -3.0]]), bits), [[0, 1, 0]])
    np.testing.assert_array_equal(
        nearest_state(tf.constant([[0.2, 0.5, 0.3, 5.0, -1.0, 2.0]]), one_hot), [[0, 1, 0, 1, 0, 0]]
    )


# Estimators.


def mean_terms_are(values, exact, names):
    """Draws of the terms [N, 5, B] have the enumerated means, within 4 standard errors."""
    for name in names:
        found = values[:, Terms._fields.index(name)]
        assert np.all(t_of(found, exact[name].numpy()) < 4), name


@pytest.mark.parametrize("name", MODELS)
def test_leave_one_out_gradient_and_elbo_are_the_enumerated_ones(name, figure):
    """With a weight of the rate in the loss, which moves the gradient alone."""
    model = model_of(name)
    for beta in (1.0, 0.4):
        gradients, terms = drawn(model, X, estimator_of("reinforce_loo", samples=3, beta=beta), 20_000)
        exact = exact_gradient(model, X, lambda model, x, beta=beta: exact_elbo(model, x, beta))
        t = t_of(gradients, exact)
        what = f"Largest t of the leave-one-out encoder gradient against enumeration, {name}, beta = {beta}"
        figure(what, t[of_encoder(model)].max(), "below 4")
        assert t.max() < 4
        mean_terms_are(terms, {"elbo": exact_elbo(model, X), "bound": exact_elbo(model, X)}, ("elbo", "bound"))
        weighted = -exact_elbo(model, X, beta)
        mean_terms_are(terms, {"loss": weighted}, ("loss",))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("samples", [2, 3])
def test_vimco_gradient_and_bound_are_the_enumerated_ones(name, samples, figure):
    model = model_of(name)
    gradients, terms = drawn(model, X, estimator_of("vimco", samples=samples), 20_000)
    bound = exact_bound(model, X, samples)
    t = t_of(gradients, exact_gradient(model, X, lambda model, x: exact_bound(model, x, samples)))
    what = f"Largest t of VIMCO's encoder gradient against enumeration, {name}, K = {samples}"
    figure(what, t[of_encoder(model)].max(), "below 4")
    assert t.max() < 4
    mean_terms_are(terms, {"bound": bound, "loss": -bound, "elbo": exact_elbo(model, X)}, ("bound", "loss", "elbo"))
    log_likelihood = logsumexp(enumerated(model, X)[1].numpy().astype(float), axis=0)
    assert np.all(exact_elbo(model, X) < bound)
    assert np.all(bound < log_likelihood)


@pytest.mark.slow
def test_groups_are_averaged_and_have_baselines_of_their_own():
    """M groups: the same mean, and the variance of one divided by M."""
    model = model_of("bits, learned")
    for name in ("reinforce_loo", "vimco"):
        one, four = (drawn(model, X, estimator_of(name, samples=2, groups=groups), 10_000)[0] for groups in (1, 4))
        assert variance(one) / variance(four) == pytest.approx(4, rel=0.1)
        # The error of the difference of two independent means.
        error = np.sqrt((one.var(axis=0, ddof=1) + four.var(axis=0, ddof=1)) / len(one))
        assert np.all(np.abs(one.mean(axis=0) - four.mean(axis=0)) < 4 * error)


def plain(samples, multi_sample):
    """The score function without a baseline, of the ELBO or of the bound L_K."""

    def estimator(model, x, seed, epoch=None):
        q, p = model.encode(x), model.latent_prior()
        z = tf.stop_gradient(q.sample(samples, seed=seed))
        log_q = q.log_prob(z)
        log_joint = model.decode(z).log_prob(x) + p.log_prob(z)
        if multi_sample:
            bound = tfp.math.reduce_logmeanexp(log_joint - log_q, axis=0)
            loss = -bound - tf.reduce_sum(tf.stop_gradient(bound) * log_q, axis=0)
        else:
            value = log_joint - tf.stop_gradient(log_q)
            loss = -tf.reduce_mean(tf.stop_gradient(value) * log_q + value, axis=0)
        return Terms(*[loss] * 5)

    return estimator


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bits, learned", "bits, autoregressive", "categories, learned"])
def test_baselines_lower_the_variance_and_leave_the_mean(name, figure):
    """Leave-one-out below the plain score function, and VIMCO below the one of the multi-sample bound."""
    model = model_of(name)
    for estimator, multi_sample in (("reinforce_loo", False), ("vimco", True)):
        gradients = drawn(model, X, estimator_of(estimator, samples=4), 10_000)[0]
        without = drawn(model, X, plain(4, multi_sample), 10_000)[0]
        ratio = variance(gradients) / variance(without)
        figure(f"Variance of {estimator}'s gradient over that without its baseline, {name}, K = 4", ratio, "below 1")
        assert ratio < 0.8
        assert t_of(gradients - without, 0.0).max() < 4


@pytest.mark.parametrize("estimator", ["reinforce_loo", "vimco"])
def test_score_functions_are_unbiased_for_gaussian_posteriors(estimator, figure):
    """Against the reparameterized gradient of the same bound by the same draws, on the Gaussian toy."""
    reparameterized = {"reinforce_loo": "monte_carlo", "vimco": "importance_weighted"}[estimator]
    toy = Toy(20_000, offset=0.3)
    bound, encoder, prior = run(toy, reparameterized, 4, seed=1)
    other_bound, other_encoder, other_prior = run(toy, estimator, 4, seed=1)
    np.testing.assert_allclose(other_bound, bound, rtol=1e-9)
    t = largest_t(other_encoder, encoder)
    figure(f"Largest paired t, {estimator} against {reparameterized}, Gaussian toy, K = 4", t, "below 4")
    assert t < 4
    np.testing.assert_allclose(other_prior, prior, rtol=1e-9, atol=1e-12)


def test_warmup_and_free_bits_weigh_the_gradient_of_the_rate():
    """Below the free bits the gradient is that of the distortion, above them that of the ELBO; warm-up is linear."""
    model = model_of("bits, learned")

    def gradient(free_bits=0.0, warmup=0, beta=1.0):
        made = estimator_of("reinforce_loo", samples=3, free_bits=free_bits, warmup_epochs=warmup, beta=beta)
        gradients, terms = drawn(model, X, made, 50, epoch=tf.constant(1.0))
        return gradients, terms

    plain_gradients, plain_terms = gradient()
    for free, same_as in ((100.0, {"beta": 0.0}), (1e-9, {})):
        gradients, terms = gradient(free_bits=free)
        reaches = plain_terms[:, 1].mean(axis=1) > free
        expected = gradient(**same_as)[0]
        chosen = ~reaches if free == 100.0 else reaches
        assert chosen.sum() > 25
        np.testing.assert_allclose(gradients[chosen], expected[chosen], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(terms[:, 1:], plain_terms[:, 1:])
        charged = np.maximum(plain_terms[:, 1].mean(axis=1), free)
        np.testing.assert_allclose(terms[:, 0], plain_terms[:, 2] + charged[:, np.newaxis], rtol=1e-5)
    np.testing.assert_allclose(gradient(warmup=4)[0], gradient(beta=0.25)[0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(gradient(warmup=4)[0], plain_gradients)


def bias(model, temperature, draws=100_000):
    """|mean gradient of the relaxed estimator - the exact one|, without what its noise adds; and its variance."""
    gradients, _ = drawn(model, X, estimator_of("relaxed", temperature=temperature, samples=2), draws)
    difference = gradients.mean(axis=0) - exact_gradient(model, X, exact_elbo)
    return np.sqrt(max(0.0, np.sum(difference**2) - variance(gradients) / draws)), variance(gradients)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bits, learned", "bits, autoregressive", "categories, learned", "categories, vamp"])
def test_bias_of_the_relaxed_gradient_falls_with_the_temperature_and_its_noise_rises(name, figure):
    model = model_of(name)
    found = {temperature: bias(model, temperature) for temperature in (2.0, 0.5, 0.1)}
    norm = np.linalg.norm(exact_gradient(model, X, exact_elbo))
    for temperature, (size, _) in found.items():
        figure(f"Bias of the relaxed gradient, {name}, t = {temperature}, over its norm", size / norm, "falls with t")
    biases, noises = zip(*found.values(), strict=True)
    assert biases[0] > 0.05 * norm
    assert biases[0] > 2 * biases[1] > 4 * biases[2]
    assert noises[0] < noises[1] < noises[2]


@pytest.mark.parametrize("straight_through", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_terms_of_the_relaxed_estimator_are_those_of_the_discrete_model(name, straight_through):
    """Its loss is theirs where the states are decoded, and another where the relaxed draws are."""
    model = model_of(name)
    made = estimator_of("relaxed", temperature=1.0, straight_through=straight_through)
    _, terms = drawn(model, X, made, 20_000)
    elbo = exact_elbo(model, X)
    mean_terms_are(terms, {"elbo": elbo, "bound": elbo}, ("elbo", "bound"))
    np.testing.assert_array_equal(terms[:, 3], -(terms[:, 1] + terms[:, 2]).astype(np.float32))
    if straight_through:
        np.testing.assert_array_equal(terms[:, 0], -terms[:, 3])
    else:
        assert t_of(terms[:, 0], -elbo.numpy()).max() > 10


def test_straight_through_decodes_states_alone():
    """What reaches decoder and prior is 0 or 1, and the gradient that comes back is that of the relaxed draw."""
    model, seen = model_of("categories, learned"), []
    spied = SimpleNamespace(
        features=model.features,
        posterior=model.posterior,
        latent_prior=lambda: SimpleNamespace(log_prob=lambda z: (seen.append(z), tf.reduce_sum(z * z, axis=-1))[1]),
        decode=lambda z: SimpleNamespace(log_prob=lambda x: (seen.append(z), tf.reduce_sum(z, axis=-1))[1]),
    )
    estimator_of("relaxed", straight_through=True, samples=50)(spied, X, SEED)
    assert len(seen) == 2
    for z in seen:
        assert set(np.unique(z)) == {0.0, 1.0}
    seen.clear()
    estimator_of("relaxed", samples=50)(spied, X, SEED)
    assert [len(np.unique(z)) > 2 for z in seen] in ([False, False, True, True], [True, True, False, False])


def test_temperature_is_annealed_geometrically_and_over_at_the_end():
    estimator = estimator_of("relaxed", temperature=0.25, initial_temperature=4.0, annealing_epochs=10)
    for epoch, expected in ((0.0, 4.0), (5.0, 1.0), (7.5, 0.5), (10.0, 0.25), (90.0, 0.25), (None, 0.25)):
        found = estimator.temperature_after(None if epoch is None else tf.constant(epoch))
        assert float(found) == pytest.approx(expected, rel=1e-5)
    still = estimator_of("relaxed", temperature=0.25, initial_temperature=4.0)
    assert float(still.temperature_after(tf.constant(0.0))) == 0.25
    model = model_of("bits")
    early, late = (drawn(model, X, estimator, 20, tf.constant(epoch))[1][:, 0] for epoch in (0.0, 10.0))
    assert np.all(early != late)
    np.testing.assert_array_equal(late, drawn(model, X, estimator, 20)[1][:, 0])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("estimator", ["reinforce_loo", "vimco", "relaxed"])
def test_gradients_reach_every_weight_and_extreme_features_keep_them_finite(name, estimator):
    model = model_of(name)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(estimator_of(estimator, samples=4)(model, X, SEED).loss)
    for weight, gradient in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True):
        assert gradient is not None, weight.path
        assert np.any(gradient.numpy() != 0), weight.path
    extreme = SimpleNamespace(
        features=lambda x: 200 * model.features(x),
        encode=lambda x: model.posterior.distribution(200 * model.features(x)),
        **{each: getattr(model, each) for each in ("posterior", "decode", "latent_prior")},
    )
    with tf.GradientTape() as tape:
        terms = estimator_of(estimator, samples=4)(extreme, X, SEED)
        loss = tf.reduce_mean(terms.loss)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.all(np.isfinite(number)) for number in (*terms, *gradients))


# What is legal.


def test_facts_of_draws_are_true():
    """`reparameterized`: whether the draw passes gradient; `relaxed`: whether the relaxed draw does."""
    for name in options.option_names("posterior"):
        option = options.read_option("posterior", name)
        part = parts.make({**option} | ({"categories": 2} if "categories" in option else {}), latent_size=2)
        features = tf.constant(np.random.default_rng(0).normal(size=(4, part.params_size)), tf.float32)

        def gradient(draw, features=features):
            with tf.GradientTape() as tape:
                tape.watch(features)
                z = draw(features)
            return tape.gradient(z, features)

        passes = gradient(lambda rows, part=part: part.distribution(rows).sample(3, seed=SEED)) is not None
        assert passes == fact(option, "reparameterized", True), name
        assert hasattr(part, "relaxed_distribution") == bool(fact(option, "relaxed")), name
        if fact(option, "relaxed"):
            passed = gradient(lambda rows, part=part: part.relaxed_distribution(rows, 0.7).sample(3, seed=SEED) ** 2)
            assert np.all(passed.numpy() != 0), name
        support = fact(option, "support", "reals")
        states = getattr(getattr(part, "space", None), "states", None)
        assert (support in ("bits", "categories")) == (states is not None), name


def test_supports_of_the_priors_are_true():
    """A prior over bits or categories gives all of its mass to them, and draws nothing else."""
    for name in options.option_names("prior"):
        option = options.read_option("prior", name)
        support = fact(option, "support", "reals")
        if support not in ("bits", "categories"):
            continue
        prior = parts.make({**option} | ({"categories": 3} if "categories" in option else {}), latent_shape=(6,))
        states = {"bits": np.array([[0.0], [1.0]], np.float32), "categories": np.eye(3, dtype=np.float32)}[support]
        z = prior.distribution(None).sample(200, seed=SEED)
        np.testing.assert_array_equal(nearest_state(z, states), z, err_msg=name)
        codes = np.stack([np.concatenate(each) for each in itertools.product(states, repeat=6 // states.shape[1])])
        total = logsumexp(prior.distribution(None).log_prob(codes).numpy().astype(float))
        assert total == pytest.approx(0.0, abs=1e-4), name


BERNOULLI = ("posterior=bernoulli", "prior=bernoulli")
ILLEGAL = {
    **{
        f"{estimator} of bits": (
            (*BERNOULLI, f"estimator={estimator}"),
            f"estimator={estimator} differentiates through the draw of z, and draws from posterior=bernoulli are not "
            "differentiable; use estimator=reinforce_loo, vimco or relaxed",
        )
        for estimator in (
            "analytic_kl",
            "monte_carlo",
            "importance_weighted",
            "multiply_importance_weighted",
            "doubly_reparameterized",
            "sticking_the_landing",
        )
    },
    "relaxation of a Gaussian": (
        ("estimator=relaxed",),
        "estimator=relaxed needs a relaxation of discrete latents, and posterior=mvn_diag has none; use "
        "posterior=bernoulli or categorical",
    ),
    "bits under a Gaussian": (
        ("posterior=bernoulli", "estimator=vimco"),
        "posterior=bernoulli is over bits and prior=mvn over reals",
    ),
    "categories under bits": (
        ("posterior=categorical", "prior=autoregressive", "estimator=vimco"),
        "posterior=categorical is over categories and prior=autoregressive over bits",
    ),
    "one sample without a baseline": (
        (*BERNOULLI, "estimator=reinforce_loo", "estimator.samples=1"),
        "estimator.samples=1: estimator=reinforce_loo sets each sample of a group against the others; use 2 or more",
    ),
    "one sample of vimco": (("estimator=vimco", "estimator.samples=1"), "use 2 or more"),
    "beta with vimco": (
        (*BERNOULLI, "estimator=vimco", "estimator.beta=2"),
        "the bound of estimator=vimco has none of its own; use estimator=reinforce_loo",
    ),
    "score function of a flow": (
        ("posterior=iaf", "estimator=reinforce_loo"),
        "estimator=reinforce_loo needs the posterior's density at latents it did not draw",
    ),
    "groups that do not fit": (
        ("posterior=categorical", "prior=categorical", "estimator=vimco", "latent_size=25"),
        "latent_size=25 is no whole number of groups of posterior.categories=10; use a multiple, such as "
        "latent_size=30",
    ),
    "other groups of the prior": (
        ("posterior=categorical", "prior=categorical", "estimator=vimco", "prior.categories=5"),
        "prior.categories=5 and posterior.categories=10 cut z into different groups; leave prior.categories away",
    ),
    "one category": (
        ("posterior=categorical", "prior=categorical", "estimator=vimco", "posterior.categories=1"),
        "posterior.categories=1 must be a whole number of at least 2",
    ),
    "no temperature": (
        (*BERNOULLI, "estimator=relaxed", "estimator.temperature=0"),
        "estimator.temperature=0 must be a number above 0",
    ),
    "no first temperature": (
        (*BERNOULLI, "estimator=relaxed", "estimator.initial_temperature=-1"),
        "estimator.initial_temperature=-1 must be a number above 0",
    ),
    "annealing backwards": (
        (*BERNOULLI, "estimator=relaxed", "estimator.annealing_epochs=-1"),
        "estimator.annealing_epochs=-1 must be a number of at least 0",
    ),
    "half straight through": (
        (*BERNOULLI, "estimator=relaxed", "estimator.straight_through=half"),
        "estimator.straight_through=half must be true or false",
    ),
    "half learned": (
        ("posterior=bernoulli", "prior=bernoulli", "prior.learned=half", "estimator=vimco"),
        "prior.learned=half must be true or false",
    ),
    "bits on a grid with an order": (
        ("encoder=conv_spatial", "posterior=bernoulli", "prior=autoregressive", "estimator=vimco"),
        "encoder=conv_spatial keeps the latent's grid, and prior=autoregressive needs a flat latent",
    ),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal_discrete_configuration_is_refused_with_a_way_out(case):
    overrides, message = ILLEGAL[case]
    with pytest.raises(UsageError) as error:
        compose.compose(*overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_categories_of_the_prior_follow_the_posterior_s():
    cfg = compose.compose(
        "posterior=categorical",
        "prior=categorical",
        "estimator=relaxed",
        "posterior.categories=4",
        "prior.learned=true",
    )
    assert cfg.prior.categories == 4


# Evaluation.

SMALL_BITS = ("posterior=bernoulli", "estimator=vimco", "latent_size=4", "encoder.hidden=[8]", "decoder.hidden=[8]")
SMALL_CATEGORIES = (
    "posterior=categorical",
    "posterior.categories=3",
    "prior=categorical",
    "estimator=relaxed",
    "latent_size=6",
    "encoder.hidden=[8]",
    "decoder.hidden=[8]",
)


def spread_out(model, spread):
    """Moves the encoder's last layer so that its probabilities differ from image to image."""
    kernel = model.encoder.layers[-1].weights[0]
    kernel.assign(np.random.default_rng(1).normal(size=kernel.shape) * spread)
    return model


@pytest.mark.parametrize("case", ["bits", "autoregressive", "categories"])
def test_evaluators_meet_enumeration(program, case, figure):
    """ELBO and importance-weighted log p(x) of each image: off by what the enumerated variance allows, and no less."""
    overrides = {
        "bits": (*SMALL_BITS, "prior=bernoulli"),
        "autoregressive": (*SMALL_BITS, "prior=autoregressive"),
        "categories": SMALL_CATEGORIES,
    }[case]
    _, pixels, built = program("training.jit=false", *overrides)
    model, samples = spread_out(built.model, 0.3), 2000
    images, levels = pixels.fixed["test"].pixels[:100], pixels.fixed["test"].levels
    x = tf.constant(images, tf.float32)
    found = built.elbo(Images(images, levels), samples, 0)
    np.testing.assert_allclose(found["posterior_mean"], model.encode(x).mean(), rtol=1e-5)
    log_q, log_joint = (values.numpy().astype(float) for values in enumerated(model, x))
    log_weight, q = log_joint - log_q, np.exp(log_q)
    elbo, log_likelihood = np.sum(q * log_weight, axis=0), logsumexp(log_joint, axis=0)
    assert log_likelihood.mean() - elbo.mean() > 0.05
    # A rate in closed form leaves the distortion's noise alone.
    closed_form = case != "autoregressive"
    noisy = log_joint - (
        model.latent_prior().log_prob(all_latents(model)).numpy()[:, np.newaxis] if closed_form else log_q
    )
    elbo_variance = np.sum(q * noisy**2, axis=0) - np.sum(q * noisy, axis=0) ** 2
    weight_variance = np.sum(q * np.exp(2 * (log_weight - log_likelihood)), axis=0) - 1
    for what, estimate, exact, variance_of_one in (
        ("ELBO", found["elbo"], elbo, elbo_variance),
        ("log p(x)", built.log_likelihood(Images(images, levels), samples, 0), log_likelihood, weight_variance),
    ):
        squares = (estimate - exact) ** 2 / (variance_of_one / samples)
        figure(f"Squared error of {what} over its enumerated variance, {case}, mean", squares.mean(), "1 ± .57")
        assert abs(squares.mean() - 1) < 4 * np.sqrt(2 / 100)


def test_mutual_information_of_bits_meets_enumeration(program):
    """I(n; z) over the images, exactly: the entropy of the mean posterior less the mean entropy of the posteriors."""
    _, pixels, built = program("training.jit=false", *SMALL_BITS, "prior=bernoulli")
    model = spread_out(built.model, 2.0)
    images, levels = pixels.fixed["test"].pixels, pixels.fixed["test"].levels
    q = np.exp(model.encode(tf.constant(images, tf.float32)).log_prob(all_latents(model)[:, np.newaxis]).numpy())
    mixture = q.astype(float).mean(axis=1)
    exact = -np.sum(mixture * np.log(mixture)) + np.mean(np.sum(q * np.log(np.maximum(q, 1e-30)), axis=0))
    found = AggregateEvaluator(model, images.shape[1:])(Images(images, levels), 0, True)
    information = found["mutual_information"]
    assert exact > 0.3
    assert abs(information.mean() - exact) < 4 * information.std(ddof=1) / np.sqrt(len(information))
    rate = built.elbo(Images(images, levels), 1, 0)["rate"].mean()
    assert found["marginal_kl"].sum() == pytest.approx(rate, rel=1e-5)


def test_marginals_of_bits_and_of_their_mixtures():
    logits, weights, at = np.float32([[0.5, -1.0], [2.0, 0.1]]), np.float32([0.3, 0.7]), np.float32([1.0, 0.0])
    bits = tfd.Independent(tfd.Bernoulli(logits, dtype=tf.float32), 1)
    p_one = np.float64(expit(logits))
    np.testing.assert_allclose(marginals(bits).log_prob(at), np.log([p_one[:, 0], 1 - p_one[:, 1]]).T, rtol=1e-5)
    mixture = tfd.MixtureSameFamily(tfd.Categorical(probs=weights), bits)
    by_hand = np.log([weights @ p_one[:, 0], weights @ (1 - p_one[:, 1])])
    np.testing.assert_allclose(marginals(mixture).log_prob(at), by_hand, rtol=1e-5)


@pytest.mark.parametrize("name", ["bits, autoregressive", "categories"])
def test_latents_that_mean_nothing_alone_have_no_marginals(name):
    model = model_of(name)
    q = model.encode(X)
    assert marginal_kl(q, model.latent_prior(), q.sample(seed=SEED)) is None


# Pictures.


@pytest.mark.parametrize("kind", ["bits", "categories", "vamp"])
def test_discrete_models_are_drawn_but_for_the_plane_of_two_latents(kind):
    overrides = {
        "bits": (*SMALL_BITS, "prior=autoregressive"),
        "categories": SMALL_CATEGORIES,
        "vamp": (*SMALL_BITS, "prior=vamp", "prior.components=3"),
    }[kind]
    drawn_pictures = dict(final_pictures(subject_of(*overrides), named("all")))
    assert {name.partition(".")[0] for name in drawn_pictures} == {*CHEAP, "latent_space"} - {
        "latent_density",
        "latent_grid",
        "layer_samples",
        "training",
    }
    for name, content in drawn_pictures.items():
        if name.endswith(".png"):
            assert len(np.unique(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))) > 2, name


@pytest.mark.parametrize("overrides", [(*SMALL_BITS, "prior=bernoulli"), SMALL_CATEGORIES])
def test_pictures_decode_discrete_latents_alone(overrides, monkeypatch):
    """The mode stands for the mean, and every point of a line is rounded to what is possible."""
    subject, seen = subject_of(*overrides), []
    decode = subject.views._decode
    monkeypatch.setattr(subject.views, "_decode", lambda z: (seen.append(np.asarray(z)), decode(z))[1])
    list(final_pictures(subject, ["reconstructions", "prior_samples", "class_means", "traversals", "interpolations"]))
    assert len(seen) > 10
    for z in seen:
        np.testing.assert_array_equal(nearest_state(tf.constant(z), subject.views.model.space.states), z)


def test_traversals_take_each_bit_and_each_category_in_turn():
    """Rows by activity; all other latents stay at the first image's most probable ones."""
    for overrides, width, states in ((SMALL_BITS, 1, 2), (SMALL_CATEGORIES, 3, 3)):
        prior = () if width == 3 else ("prior=bernoulli",)
        subject = subject_of(*overrides, *prior)
        spread_out(subject.views.model, 2.0)
        mean = subject.encoded[0]
        chosen, z = traversal_states(subject, subject.views.model.space.states)
        activity = mean.var(axis=0).reshape(-1, width).sum(axis=1)
        np.testing.assert_array_equal(chosen, width * np.argsort(-activity))
        assert z.shape == (len(activity), states, mean.shape[1])
        groups = mean[0].reshape(-1, width)
        mode = (groups > 0.5) if width == 1 else (groups == groups.max(axis=1, keepdims=True))
        for row, first in enumerate(chosen):
            expected = np.tile(mode.astype(float).ravel(), (states, 1))
            expected[:, first : first + width] = subject.views.model.space.states
            np.testing.assert_array_equal(z[row], expected)
        assert traversals(subject).ndim == 3
