"""Gradients of the importance-weighted estimators, on a toy whose every quantity is known.

p(z) = N(mu, I), p(x|z) = N(z, I), q(z|x) = N(x/2 + b, 2/3 I) in D = 20 dimensions (Rainforth et al. 2018, section 4).
Every draw has its own copy of the weights b and mu, so that one call gives many independent gradients.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.config import compose
from vae_lab.config.parts import make

tfd = tfp.distributions
D = 20
VARIANCE = 2 / 3


class Toy:
    """The toy in the form of the house's models; parameters `offset` (standard deviation) off the optimum."""

    def __init__(self, draws, offset):
        rng = np.random.default_rng(3)
        x = rng.normal(size=D) * np.sqrt(2)

        def copies(value):
            return tf.constant(np.tile(value, (draws, 1)))

        self.x = copies(x)
        self.mu = copies(x + offset * rng.normal(size=D))
        self.b = copies(x / 2 + offset * rng.normal(size=D))
        self.posterior = self

    def features(self, x):
        return x / 2 + self.b

    def distribution(self, features, stop_gradient=False):
        loc = tf.stop_gradient(features) if stop_gradient else features
        return tfd.MultivariateNormalDiag(loc, tf.fill(loc.shape, tf.constant(VARIANCE**0.5, tf.float64)))

    def encode(self, x):
        return self.distribution(self.features(x))

    def latent_prior(self):
        return tfd.MultivariateNormalDiag(self.mu, tf.ones_like(self.mu))

    def decode(self, z):
        return tfd.MultivariateNormalDiag(z, tf.ones_like(z))

    def log_likelihood(self):
        """log p(x), a number."""
        return float(
            tfd.MultivariateNormalDiag(self.mu[0], tf.fill([D], tf.constant(2**0.5, tf.float64))).log_prob(self.x[0])
        )


class PriorOfTheEncoder(Toy):
    """The toy with a prior that moves with the encoder's weights too, as a VampPrior does."""

    def latent_prior(self):
        return tfd.MultivariateNormalDiag(self.mu - 0.7 * self.b, tf.ones_like(self.mu))


def many(toy, name, samples, calls, seed=0):
    """(bounds [N], gradients of b and of mu [N, D]) of N = draws * calls independent estimates."""
    estimator = make(compose.compose(f"estimator={name}", f"estimator.samples={samples}").estimator)

    @tf.function(jit_compile=True)
    def estimates(number):
        with tf.GradientTape() as tape:
            tape.watch([toy.b, toy.mu])
            terms = estimator(toy, toy.x, tf.stack([number, samples]))
            loss = tf.reduce_sum(terms.loss)
        return terms.bound, *tape.gradient(loss, [toy.b, toy.mu])

    parts = [[part.numpy() for part in estimates(tf.constant(seed + call))] for call in range(calls)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def run(toy, name, samples, seed):
    """`many` of one call."""
    return many(toy, name, samples, 1, seed)


def largest_t(one, other):
    """Largest paired |t| over the weights; `one` and `other` were drawn with the same noise."""
    difference = one - other
    return np.abs(difference.mean(axis=0) / (difference.std(axis=0, ddof=1) / np.sqrt(len(difference)))).max()


def signal_to_noise(mean_from, noise_from):
    """Root mean square over weights of mean / standard deviation, without the square of the mean's own error."""
    error = mean_from.var(axis=0, ddof=1) / len(mean_from)
    return np.sqrt(np.mean((mean_from.mean(axis=0) ** 2 - error) / noise_from.var(axis=0, ddof=1)))


def slope(samples, ratios):
    return np.polyfit(np.log(samples), np.log(ratios), 1)[0]


def test_gap_of_the_bound_approaches_its_limit(figure):
    """K (log p - L_K) tends to (E_q[(p/q)^2] - 1) / 2; what K = 1000 leaves out is of relative order 1/K."""
    toy = Toy(200, offset=0.05)
    posterior_variance, d = 1 / 2, (toy.features(toy.x) - (toy.x + toy.mu) / 2).numpy()[0]
    spread = 2 * VARIANCE - posterior_variance
    limit = (np.prod(VARIANCE / np.sqrt(posterior_variance * spread) * np.exp(d**2 / spread)) - 1) / 2
    bound = many(toy, "importance_weighted", 1000, calls=20)[0]
    # The mean weight over p(x), less 1, has mean 0 and all of the noise of first order.
    gaps = 1000 * (toy.log_likelihood() - bound + np.expm1(bound - toy.log_likelihood()))
    figure("K (log p - L_K) of the Gaussian toy at K = 1000", gaps.mean(), f"{limit:.4g} in the limit, ± .03")
    assert gaps.std() / np.sqrt(len(gaps)) < 0.03 / 2
    assert gaps.mean() == pytest.approx(limit, abs=0.03)


@pytest.mark.slow
def test_signal_to_noise_falls_with_k_for_the_encoder_and_rises_for_the_decoder(figure):
    """Slopes -1/2 and +1/2 over K; the doubly reparameterized encoder gradient's rises.

    The encoder's mean gradient is taken from the doubly reparameterized estimator, whose mean is the same (tested
    below) and whose noise is far smaller.
    """
    toy, ks = Toy(1000, offset=0.01), [8, 32, 128]
    encoder, decoder, doubly = [], [], []
    for k in ks:
        calls = 40
        _, standard_b, standard_mu = many(toy, "importance_weighted", k, calls)
        _, doubly_b, _ = many(toy, "doubly_reparameterized", k, calls)
        encoder.append(signal_to_noise(doubly_b, standard_b))
        decoder.append(signal_to_noise(standard_mu, standard_mu))
        doubly.append(signal_to_noise(doubly_b, doubly_b))
    figure("Slope of the encoder gradient's signal-to-noise over K", slope(ks, encoder), "-1/2 ± .1")
    figure("Slope of the decoder gradient's signal-to-noise over K", slope(ks, decoder), "1/2 ± .1")
    figure("The same for the doubly reparameterized encoder gradient", slope(ks, doubly), "above 0")
    assert slope(ks, encoder) == pytest.approx(-0.5, abs=0.1)
    assert slope(ks, decoder) == pytest.approx(0.5, abs=0.1)
    assert doubly[0] < doubly[1] < doubly[2]


@pytest.mark.parametrize("made", [Toy, PriorOfTheEncoder])
@pytest.mark.parametrize("samples", [1, 4, 16])
def test_doubly_reparameterized_gradient_is_unbiased(samples, made, figure):
    toy = made(20_000, offset=0.3)
    bound, encoder, prior = run(toy, "importance_weighted", samples, seed=1)
    other_bound, other_encoder, other_prior = run(toy, "doubly_reparameterized", samples, seed=1)
    np.testing.assert_allclose(other_bound, bound, rtol=1e-12)
    t = largest_t(other_encoder, encoder)
    prior_is = "" if made is Toy else ", prior made by the encoder"
    what = f"Largest paired t, doubly reparameterized against standard gradient, K = {samples}{prior_is}"
    figure(what, t, "below 4")
    assert t < 4
    np.testing.assert_allclose(other_prior, prior, rtol=1e-9, atol=1e-12)


def test_sticking_the_landing_is_unbiased_for_one_sample_and_biased_for_four(figure):
    toy = Toy(20_000, offset=0.3)
    gradients = {
        (name, k): run(toy, name, k, seed=2)[1]
        for name in ("importance_weighted", "sticking_the_landing")
        for k in (1, 4)
    }
    for k, legal in ((1, "below 4"), (4, "above 10: it is biased")):
        t = largest_t(gradients["sticking_the_landing", k], gradients["importance_weighted", k])
        figure(f"Largest paired t, sticking the landing against standard gradient, K = {k}", t, legal)
        assert t < 4 if k == 1 else t > 10


def test_sticking_the_landing_has_no_noise_at_the_exact_posterior(monkeypatch):
    monkeypatch.setitem(globals(), "VARIANCE", 1 / 2)
    toy = Toy(50, offset=0.0)
    np.testing.assert_allclose(run(toy, "sticking_the_landing", 1, seed=3)[1], 0, atol=1e-12)
    assert run(toy, "importance_weighted", 1, seed=3)[1].std() > 0.1
