"""Bits that depend on the bits before them."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.masked import MaskedNetwork
from vae_lab.protocols import Prior

tfd = tfp.distributions


class Autoregressive(keras.layers.Layer, Prior):
    """p(z) = prod_i p(z_i | z_1, ..., z_(i-1)), bits whose logits come from one masked network. Starts near 1/2 each.

    `log_prob` takes one pass of the network, a draw one pass a bit.

    References: Larochelle, Murray, "The Neural Autoregressive Distribution Estimator", 2011; the network: Germain,
    Gregor, Murray, Larochelle, "MADE: Masked Autoencoder for Distribution Estimation", 2015; as a prior of bits:
    Gregor, Danihelka, Mnih, Blundell, Wierstra, "Deep AutoRegressive Networks", 2014.
    """

    def __init__(self, latent_shape, hidden, activation):
        super().__init__(name="prior")
        self.size = flat_size("prior=autoregressive", latent_shape)
        self.network = MaskedNetwork(self.size, None, 1, hidden, activation, reverse=False, name="network")

    def distribution(self, posterior_of):
        def given_earlier(z):
            return tfd.Independent(tfd.Bernoulli(self.network.numbers(z), dtype=tf.float32), 1)

        return tfd.Autoregressive(given_earlier, tf.zeros(self.size))
