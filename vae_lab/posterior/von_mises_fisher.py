"""The von Mises-Fisher distribution: a Gaussian's likeness on the sphere."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.bessel import log_mean_exp_and_ratio
from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.polar_angle import polar_angle
from vae_lab.layers.spaces import Sphere
from vae_lab.layers.sphere import TINY, Directional, direction_of
from vae_lab.numerics import positive
from vae_lab.protocols import Posterior


class VonMisesFisherDistribution(Directional):
    """q(z) proportional to exp(k mu'z).

    TFP's own is not reparameterized: the derivative of its draws leaves out that whether a proposal is accepted depends
    on k, and has a bias.
    """

    def _tilt(self, chord):
        return -self.concentration / 2 * chord  # k (mu'z - 1)

    def _log_mean_and_mean_tilt(self):
        log_mean, mean_cosine = log_mean_exp_and_ratio(self.size, self.concentration)
        k = tf.cast(self.concentration, tf.float64)
        return log_mean - k, k * (mean_cosine - 1)

    def _mean_cosine(self):
        return log_mean_exp_and_ratio(self.size, self.concentration)[1]

    def _polar(self, n, seed):
        angle_seed, direction_seed = tfp.random.split_seed(seed, n=2)
        angle = polar_angle(self.size, self.concentration, n, angle_seed)[..., tf.newaxis]
        shape = tf.concat([tf.shape(angle)[:-1], [self.size - 1]], axis=0)
        aside = tf.random.stateless_normal(shape, direction_seed, dtype=self.dtype)
        # One normal number can be 0, and has a sign all the same.
        aside = tf.math.l2_normalize(tf.where(aside == 0, tf.constant(TINY, self.dtype), aside), axis=-1)
        return tf.concat([tf.cos(angle), tf.sin(angle) * aside], axis=-1)


class VonMisesFisher(keras.layers.Layer, Posterior):
    """q(z|x) = vMF(mu, k) on the unit sphere of R^m, m = `latent_size`.

    The features are the mean direction before it is normalized [m] and the unconstrained concentration. The
    concentration is `concentration_floor` + softplus, so that with a floor of 1, as the authors' code has it, q(z|x)
    never becomes uniform.

    References: Davidson, Falorsi, De Cao, Kipf, Tomczak, "Hyperspherical Variational Auto-Encoders", 2018.
    """

    space = Sphere()

    def __init__(self, latent_size, concentration_floor):
        super().__init__(name="posterior")
        self.params_size = latent_size + 1
        self.concentration_floor = concentration_floor

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=von_mises_fisher", features.shape[1:])
        if stop_gradient:
            features = tf.stop_gradient(features)
        return VonMisesFisherDistribution(
            direction_of(features[..., :-1]), positive(features[..., -1], self.concentration_floor)
        )
