"""Learned spline coupling flow."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.errors import UsageError
from vae_lab.layers.coupling import SplineCoupling
from vae_lab.layers.flat_latent import flat_size
from vae_lab.protocols import Prior

tfb = tfp.bijectors
tfd = tfp.distributions


class Spline(keras.layers.Layer, Prior):
    """p(z): what `couplings` couplings by rational quadratic splines take to N(0, I). Starts near N(0, I).

    The couplings keep the halves in turn. They map z to the noise, the way that training goes; sampling inverts the
    splines, in closed form as well. Beyond [-bound, bound] a latent's tails are Gaussian.

    References: Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows", 2019, sections 3 and 5.2.

    Raises:
      UsageError: when the latent has no two halves.
    """

    def __init__(self, latent_shape, couplings, bins, bound, hidden, activation):
        super().__init__(name="prior")
        self.size = flat_size("prior=spline", latent_shape)
        if self.size < 2:
            raise UsageError("latent_size=1: prior=spline couples two halves of the latent, so it needs at least 2")
        self.couplings = [
            SplineCoupling(self.size, bins, bound, hidden, activation, bool(step % 2), f"coupling_{step}")
            for step in range(couplings)
        ]

    def distribution(self, posterior_of):
        standard = tfd.MultivariateNormalDiag(tf.zeros(self.size), tf.ones(self.size))
        to_noise = tfb.Chain([coupling.bijector() for coupling in self.couplings])
        return tfd.TransformedDistribution(standard, tfb.Invert(to_noise))
