"""A posterior of categories."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.one_hot import OneHot, flattened_groups
from vae_lab.layers.spaces import Discrete
from vae_lab.protocols import Posterior

tfd = tfp.distributions


class Categorical(keras.layers.Layer, Posterior):
    """q(z|x): independent groups of `categories` latents, one of each group 1 and the others 0; over a grid too.

    z [L] holds L / `categories` groups one after the other, and the features are their logits in the same places.
    `log_prob` is linear in z, and is given at any z.

    References: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017; Maddison, Mnih, Teh, "The
    Concrete Distribution", 2017.
    """

    def __init__(self, latent_size, categories):
        super().__init__(name="posterior")
        self.params_size = latent_size
        self.space = Discrete(np.eye(categories))

    def distribution(self, features, stop_gradient=False):
        logits = self._logits(tf.stop_gradient(features) if stop_gradient else features)
        return flattened_groups(OneHot(logits, dtype=tf.float32), len(features.shape) - 2)

    def relaxed_distribution(self, features, temperature):
        relaxed = tfd.RelaxedOneHotCategorical(temperature, self._logits(features))
        return flattened_groups(relaxed, len(features.shape) - 2)

    def _logits(self, features):
        """features [B,*grid,L] -> [B,*grid,G,categories]."""
        *grid, size = features.shape[1:]
        categories = len(self.space.states)
        return tf.reshape(features, (-1, *grid, size // categories, categories))
