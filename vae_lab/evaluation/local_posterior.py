"""The best bound that a family of posteriors allows for an image alone, without an encoder."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.posterior.mvn_tril import MVNTriL
from vae_lab.posterior.planar import Planar
from vae_lab.randomness import seed_for

DRAWS = 10  # of z an image, of a step of the optimization
EVALUATED = 50  # of z an image at once
MOMENT_DRAWS = 200
FLOW_STEPS = 8
FLOOR = 1e-5
SMALL = 0.1  # of a flow's first slopes: at 0 they would get no gradient


class LocalPosterior:
    """Maximizes E_q[log p(x, z) - log q(z)] of each image over the features of its q, by Adam.

    The step size falls to zero along a half cosine. Networks, those of the posterior itself too, stay as they are.

    Args:
      model: the VAE.
      posterior: the family, a `vae_lab.protocols.Posterior`.
      steps: of the optimization.
      learning_rate: its first step size.
    """

    def __init__(self, model, posterior, steps, learning_rate):
        self.model, self.posterior = model, posterior
        self.steps, self.learning_rate = steps, learning_rate
        self._optimize = tf.function(self._optimized, reduce_retracing=True)
        self._bound = tf.function(self._mean_bound, reduce_retracing=True)

    def _bounds(self, features, x, draws, seed):
        q = self.posterior.distribution(features)
        z = q.sample(draws, seed=seed)
        log_joint = self.model.latent_prior().log_prob(z)
        log_joint += self.model.conditional_log_prob(self.model.likelihood_parameters(z), x)
        return tf.reduce_mean(log_joint - q.log_prob(z), axis=0)

    def _mean_bound(self, features, x, seed):
        return self._bounds(features, x, EVALUATED, seed)

    def _optimized(self, features, x, seed):
        first, second = tf.zeros_like(features), tf.zeros_like(features)
        for step in tf.range(self.steps):
            with tf.GradientTape() as tape:
                tape.watch(features)
                loss = -tf.reduce_sum(self._bounds(features, x, DRAWS, tf.random.fold_in(seed, step)))
            gradient = tape.gradient(loss, features)
            gradient = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            done = tf.cast(step, tf.float32)
            scaled = first / (1 - 0.9 ** (done + 1)) / (tf.sqrt(second / (1 - 0.999 ** (done + 1))) + 1e-8)
            rate = self.learning_rate * (1 + tf.cos(np.pi * done / self.steps)) / 2
            features = tf.ensure_shape(features - rate * scaled, features.shape)
        return features

    def optimized(self, features, x, seed, chunk):
        """Features [B,...] to start from, images [B,H,W,C] -> those of the best bound."""
        return self._optimize(features, x, seed_for(seed, "local", chunk))

    def bound(self, features, x, draws, seed, chunk) -> np.ndarray:
        """The ELBO of each image over fresh draws, in whole blocks of 50, float64 [B]."""
        blocks = range(-(-draws // EVALUATED))
        found = [self._bound(features, x, seed_for(seed, "local bound", chunk, block)) for block in blocks]
        return np.mean([one.numpy().astype(np.float64) for one in found], axis=0)


def full_covariance(q: Any, seed: Any) -> tuple[MVNTriL, tf.Tensor]:
    """The family of Gaussians, and features that have the mean and the deviations of q, batch [B], event [L]."""
    loc, raw_scale = moments_of(q, seed)
    diagonal = tfp.math.fill_triangular_inverse(tf.linalg.diag(raw_scale))
    return MVNTriL(loc.shape[-1], "softplus", FLOOR), tf.concat([loc, diagonal], axis=-1)


def flow(q: Any, seed: Any) -> tuple[Planar, tf.Tensor]:
    """Eight planar steps with parameters of the image's own, at first the identity, on the moments of q."""
    loc, raw_scale = moments_of(q, seed)
    rows, size = loc.shape
    w = SMALL * tf.random.stateless_normal((rows, FLOW_STEPS, size), tf.random.fold_in(seed, 1))
    steps = tf.concat([w, tf.zeros((rows, FLOW_STEPS, size + 1))], axis=-1)
    features = tf.concat([loc, raw_scale, tf.reshape(steps, (rows, -1))], axis=-1)
    return Planar(size, FLOW_STEPS, 0.01, "softplus", FLOOR), features


def moments_of(q: Any, seed: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and unconstrained deviations [B,L] of q's latents, by draws: under a flow there is no other way."""
    z = q.sample(MOMENT_DRAWS, seed=tf.random.fold_in(seed, 0))
    deviation = tf.math.reduce_std(z, axis=0)
    return tf.reduce_mean(z, axis=0), tfp.math.softplus_inverse(tf.maximum(deviation, 10 * FLOOR) - FLOOR)
