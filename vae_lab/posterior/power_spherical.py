"""The power spherical distribution: on the sphere, with a sampler that rejects nothing."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.spaces import Sphere
from vae_lab.layers.sphere import Directional, direction_of
from vae_lab.numerics import positive
from vae_lab.protocols import Posterior

ANTIPODE = 1 - 1e-7  # of the squared chord's quarter: there the density is 0, and its logarithm has an end


class PowerSphericalDistribution(Directional):
    """q(z) proportional to (1 + mu'z)^k.

    TFP's own draws (1 - t^2)^(1/2) from a t that float32 rounds to 1, where the gradient is not finite, and turns it by
    a reflection whose derivative has no bound near the first axis.
    """

    def _tilt(self, chord):
        return self.concentration * tf.math.log1p(-tf.minimum(chord / 4, ANTIPODE))  # k log((1 + mu'z) / 2)

    def _log_mean_and_mean_tilt(self):
        """(1 + mu'z) / 2 is from Beta(a + k, a), with k = 0 for a uniform z."""
        a, k = tf.constant((self.size - 1) / 2, tf.float64), tf.cast(self.concentration, tf.float64)
        log_mean = tf.math.lgamma(a + k) + tf.math.lgamma(2 * a) - tf.math.lgamma(2 * a + k) - tf.math.lgamma(a)
        return log_mean, k * (tf.math.digamma(a + k) - tf.math.digamma(2 * a + k))

    def _mean_cosine(self):
        return self.concentration / (self.concentration + self.size - 1)

    def _polar(self, n, seed):
        """The inverse stereographic projection of a vector from Student's t.

        A beta number is made of two gamma numbers, and half the squared length of a Gaussian vector is one of them.
        The other brings the gradient, by implicit reparameterization, which is TFP's.
        """
        gamma_seed, normal_seed = tfp.random.split_seed(seed, n=2)
        along = tfp.distributions.Gamma((self.size - 1) / 2 + self.concentration, 1.0).sample(n, seed=gamma_seed)
        shape = tf.concat([tf.shape(along), [self.size - 1]], axis=0)
        aside = tf.random.stateless_normal(shape, normal_seed, dtype=self.dtype)
        aside *= tf.math.rsqrt(2 * along)[..., tf.newaxis]
        squared = tf.reduce_sum(aside**2, axis=-1, keepdims=True)
        return tf.concat([1 - squared, 2 * aside], axis=-1) / (1 + squared)


class PowerSpherical(keras.layers.Layer, Posterior):
    """q(z|x) = PowerSpherical(mu, k) on the unit sphere of R^m, m = `latent_size`.

    The features are the mean direction before it is normalized [m] and the unconstrained concentration, which is
    `concentration_floor` + softplus.

    References: De Cao, Aziz, "The Power Spherical distribution", 2020.
    """

    space = Sphere()

    def __init__(self, latent_size, concentration_floor):
        super().__init__(name="posterior")
        self.params_size = latent_size + 1
        self.concentration_floor = concentration_floor

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=power_spherical", features.shape[1:])
        if stop_gradient:
            features = tf.stop_gradient(features)
        return PowerSphericalDistribution(
            direction_of(features[..., :-1]), positive(features[..., -1], self.concentration_floor)
        )
