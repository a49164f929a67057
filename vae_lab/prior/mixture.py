"""Learned mixture of Gaussians."""

import keras
import tensorflow_probability as tfp

from vae_lab.numerics import inverse_softplus, positive

tfd = tfp.distributions


class Mixture(keras.layers.Layer):
    """p(z) = sum_k w_k N(loc_k, diag(scale_k^2)), with weights, means and scales all learned.

    The means start at random, `loc_spread` apart: components that start equal get equal gradients for ever. Scales
    start at 1 and weights at 1/K.
    """

    def __init__(self, latent_shape, components, loc_spread, scale_floor):
        super().__init__(name="prior")
        self.scale_floor = scale_floor
        shape = (components, *latent_shape)
        self.logits = self.add_weight(shape=(components,), initializer="zeros", name="logits")
        self.loc = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomNormal(stddev=loc_spread), name="loc"
        )
        self.raw_scale = self.add_weight(
            shape=shape, initializer=keras.initializers.Constant(inverse_softplus(1.0 - scale_floor)), name="raw_scale"
        )

    def distribution(self, posterior_of):
        components = tfd.MultivariateNormalDiag(self.loc.value, positive(self.raw_scale.value, self.scale_floor))
        grid = len(self.loc.shape) - 2
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=self.logits.value), tfd.Independent(components, grid) if grid else components
        )
