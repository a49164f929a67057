"""Gaussian posterior with a full covariance."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.scale_tril import scale_tril, tril_size
from vae_lab.protocols import Posterior

tfd = tfp.distributions


class MVNTriL(keras.layers.Layer, Posterior):
    """q(z|x) = N(loc, T T'), T lower triangular with a positive diagonal.

    The features are loc [L] and the entries of T [L(L+1)/2], the diagonal's unconstrained, one after the other.
    `log_prob` divides by the diagonal L times over: where features drive it to the floor and the entries below it
    up, the latents are nearly dependent and float32 cannot tell their density at values that it did not sample.

    References: Kingma, Welling, "An Introduction to Variational Autoencoders", 2019, section 2.5.1.
    """

    def __init__(self, latent_size, scale_activation, scale_floor):
        super().__init__(name="posterior")
        self.sizes = (latent_size, tril_size(latent_size))
        self.params_size = sum(self.sizes)
        self.scale_activation = scale_activation
        self.scale_floor = scale_floor

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=mvn_tril", features.shape[1:])
        if stop_gradient:
            features = tf.stop_gradient(features)
        loc, raw_scale = tf.split(features, self.sizes, axis=-1)
        return tfd.MultivariateNormalTriL(loc, scale_tril(raw_scale, self.scale_floor, self.scale_activation))
