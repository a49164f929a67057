"""Learned Gaussian with a full covariance."""

import keras
import tensorflow_probability as tfp

from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.scale_tril import raw_identity, scale_tril, tril_size
from vae_lab.protocols import Prior

tfd = tfp.distributions


class MVNTriL(keras.layers.Layer, Prior):
    """p(z) = N(loc, T T'), T lower triangular with a positive diagonal, all learned. Starts as N(0, I).

    What it adds to a model a linear layer at the foot of the decoder could add as well: it frees the decoder's input
    from having to be standard.
    """

    def __init__(self, latent_shape, scale_floor):
        super().__init__(name="prior")
        self.scale_floor = scale_floor
        size = flat_size("prior=mvn_tril", latent_shape)
        self.loc = self.add_weight(shape=(size,), initializer="zeros", name="loc")
        self.raw_scale = self.add_weight(
            shape=(tril_size(size),),
            initializer=keras.initializers.Constant(raw_identity(size, scale_floor)),
            name="raw_scale",
        )

    def distribution(self, posterior_of):
        return tfd.MultivariateNormalTriL(self.loc.value, scale_tril(self.raw_scale.value, self.scale_floor))
