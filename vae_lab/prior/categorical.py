"""Independent groups of categories."""

import keras
import tensorflow as tf

from vae_lab.layers.one_hot import OneHot, flattened_groups
from vae_lab.protocols import Prior


class Categorical(keras.layers.Layer, Prior):
    """p(z): independent one-hot groups, uniform over `categories`, or with `learned` of logits that start equal."""

    def __init__(self, latent_shape, categories, learned):
        super().__init__(name="prior")
        *self.grid, size = latent_shape
        self.shape = (*self.grid, size // categories, categories)
        self.logits = self.add_weight(shape=self.shape, initializer="zeros", name="logits") if learned else None

    def distribution(self, posterior_of):
        logits = tf.zeros(self.shape) if self.logits is None else self.logits.value
        return flattened_groups(OneHot(logits, dtype=tf.float32), len(self.grid))
