"""Learned mixture of Gaussians."""

import keras
import tensorflow_probability as tfp

from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_mixture import gaussian_mixture
from vae_lab.layers.scale_tril import raw_identity, scale_tril, tril_size
from vae_lab.numerics import inverse_softplus, positive
from vae_lab.protocols import Prior

tfd = tfp.distributions


class Mixture(keras.layers.Layer, Prior):
    """p(z) = sum_k w_k N(loc_k, T_k T_k'), with weights, means and scales all learned.

    The scales T_k are diagonal, or with `covariance="full"` lower triangular. The means start at random, `loc_spread`
    apart: components that start equal get equal gradients for ever. Scales start at 1 and weights at 1/K.
    """

    def __init__(self, latent_shape, components, covariance, loc_spread, scale_floor):
        super().__init__(name="prior")
        self.full = covariance == "full"
        self.scale_floor = scale_floor
        shape = (components, *latent_shape)
        self.logits = self.add_weight(shape=(components,), initializer="zeros", name="logits")
        self.loc = self.add_weight(
            shape=shape, initializer=keras.initializers.RandomNormal(stddev=loc_spread), name="loc"
        )
        raw_one = inverse_softplus(1.0 - scale_floor)
        if self.full:
            size = flat_size("prior.covariance=full", latent_shape)
            shape, raw_one = (components, tril_size(size)), raw_identity(size, scale_floor)
        self.raw_scale = self.add_weight(
            shape=shape, initializer=keras.initializers.Constant(raw_one), name="raw_scale"
        )

    def distribution(self, posterior_of):
        return gaussian_mixture(self.logits.value, self._components())

    def _components(self):
        loc, raw_scale = self.loc.value, self.raw_scale.value
        if self.full:
            return tfd.MultivariateNormalTriL(loc, scale_tril(raw_scale, self.scale_floor))
        diagonal = tfd.MultivariateNormalDiag(loc, positive(raw_scale, self.scale_floor))
        grid = len(loc.shape) - 2
        return tfd.Independent(diagonal, grid) if grid else diagonal
