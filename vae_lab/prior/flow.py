"""Learned coupling flow."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.errors import UsageError
from vae_lab.layers.coupling import AffineCoupling
from vae_lab.layers.flat_latent import flat_size
from vae_lab.protocols import Prior

tfb = tfp.bijectors
tfd = tfp.distributions


class Flow(keras.layers.Layer, Prior):
    """p(z): z_0 ~ N(0, I), then `couplings` affine couplings that keep the halves in turn. Starts near N(0, I).

    References: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017; as a prior: Huang et al.,
    "Learnable Explicit Density for Continuous Latent Space and Variational Inference", 2017.

    Raises:
      UsageError: when the latent has no two halves.
    """

    def __init__(self, latent_shape, couplings, hidden, activation, scale_floor):
        super().__init__(name="prior")
        self.size = flat_size("prior=flow", latent_shape)
        if self.size < 2:
            raise UsageError("latent_size=1: prior=flow couples two halves of the latent, so it needs at least 2")
        self.couplings = [
            AffineCoupling(self.size, hidden, activation, scale_floor, reverse=bool(step % 2), name=f"coupling_{step}")
            for step in range(couplings)
        ]

    def distribution(self, posterior_of):
        standard = tfd.MultivariateNormalDiag(tf.zeros(self.size), tf.ones(self.size))
        return tfd.TransformedDistribution(standard, tfb.Chain([coupling.bijector() for coupling in self.couplings]))
