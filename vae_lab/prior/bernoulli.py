"""Independent bits."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.protocols import Prior

tfd = tfp.distributions


class Bernoulli(keras.layers.Layer, Prior):
    """p(z): independent bits of probability 1/2, or with `learned` of probabilities that start there."""

    def __init__(self, latent_shape, learned):
        super().__init__(name="prior")
        self.latent_shape = tuple(latent_shape)
        self.logits = self.add_weight(shape=self.latent_shape, initializer="zeros", name="logits") if learned else None

    def distribution(self, posterior_of):
        logits = tf.zeros(self.latent_shape) if self.logits is None else self.logits.value
        return tfd.Independent(tfd.Bernoulli(logits, dtype=tf.float32), len(self.latent_shape))
