"""The standard Gaussian."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.protocols import Prior

tfd = tfp.distributions


class MVN(keras.layers.Layer, Prior):
    """p(z) = N(0, I). No weights."""

    def __init__(self, latent_shape):
        super().__init__(name="prior")
        self.latent_shape = tuple(latent_shape)

    def distribution(self, posterior_of):
        standard = tfd.MultivariateNormalDiag(tf.zeros(self.latent_shape), tf.ones(self.latent_shape))
        grid = len(self.latent_shape) - 1
        return tfd.Independent(standard, grid) if grid else standard
