"""A posterior of bits."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.spaces import Discrete
from vae_lab.protocols import Posterior

tfd = tfp.distributions


class BinaryConcrete(tfp.distributions.RelaxedBernoulli):
    """TFP's relaxed bit, whose draws have a finite gradient at any logits: its own is NaN from 88 temperatures on."""

    def _sample_n(self, n, seed=None):
        return tf.sigmoid(self._transformed_logistic().distribution.sample(n, seed=seed))


class Bernoulli(keras.layers.Layer, Posterior):
    """q(z|x): independent bits z_i in {0, 1}, of which the features are the logits; over a grid of them too.

    `log_prob` is linear in z, and is given at any z.

    References: Mnih, Gregor, "Neural Variational Inference and Learning in Belief Networks", 2014; the relaxation:
    Maddison, Mnih, Teh, "The Concrete Distribution", 2017, appendix B (binary concrete).
    """

    space = Discrete([[0.0], [1.0]])

    def __init__(self, latent_size):
        super().__init__(name="posterior")
        self.params_size = latent_size

    def distribution(self, features, stop_gradient=False):
        logits = tf.stop_gradient(features) if stop_gradient else features
        return tfd.Independent(tfd.Bernoulli(logits, dtype=tf.float32), len(features.shape) - 1)

    def relaxed_distribution(self, features, temperature):
        return tfd.Independent(BinaryConcrete(temperature, features), len(features.shape) - 1)
