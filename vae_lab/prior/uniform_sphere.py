"""The uniform distribution on the sphere."""

import keras

from vae_lab.errors import UsageError
from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.sphere import UniformDirection
from vae_lab.protocols import Prior


class UniformSphere(keras.layers.Layer, Prior):
    """p(z) is constant over the unit sphere of R^m, m the length of the latent. No weights.

    Raises:
      UsageError: when the latent is spatial, or of a single number.
    """

    def __init__(self, latent_shape):
        super().__init__(name="prior")
        self.size = flat_size("prior=uniform_sphere", latent_shape)
        if self.size < 2:
            raise UsageError("latent_size=1: prior=uniform_sphere needs a sphere, and that at least 2")

    def distribution(self, posterior_of):
        return UniformDirection(self.size)
