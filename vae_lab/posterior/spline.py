"""Spline coupling flow."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.errors import UsageError
from vae_lab.layers.coupling import SplineCoupling
from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_flow import GaussianFlow
from vae_lab.numerics import positive
from vae_lab.protocols import Posterior

tfb = tfp.bijectors
tfd = tfp.distributions


class LocScale(tfp.bijectors.Bijector):
    """z [...,L] -> loc + scale * z."""

    def __init__(self, loc, scale):
        # Without `parameters` no two bijectors are equal, so that none takes another's cached values.
        super().__init__(forward_min_event_ndims=1, is_constant_jacobian=True, name="loc_scale")
        self._loc, self._scale = loc, scale

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def _forward(self, z):
        return self._loc + self._scale * z

    def _inverse(self, y):
        return (y - self._loc) / self._scale

    def _forward_log_det_jacobian(self, z):
        return tf.reduce_sum(tf.math.log(self._scale), axis=-1)


class Spline(keras.layers.Layer, Posterior):
    """q(z|x): z_0 ~ N(0, I), `couplings` couplings by rational quadratic splines, then z = loc + scale * z_0.

    The couplings keep the halves in turn; their networks see the kept half and a context vector from the encoder. The
    features are loc [L], the unconstrained scale [L] and the context, one after the other. Loc and scale come last,
    so that the splines' interval [-bound, bound] covers the noise wherever the posterior is and however narrow.
    `scale_floor` bounds the scale from below. Both directions are in closed form. `spline`: the settings of a
    `SplineCoupling`.

    References: Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows", 2019, sections 3 and 5.2.

    Raises:
      UsageError: when the latent has no two halves.
    """

    def __init__(self, latent_size, couplings, context, scale_activation, scale_floor, **spline):
        super().__init__(name="posterior")
        if latent_size < 2:
            raise UsageError("latent_size=1: posterior=spline couples two halves of the latent, so it needs at least 2")
        self.sizes = (latent_size, latent_size, context)
        self.params_size = sum(self.sizes)
        self.scale_activation = scale_activation
        self.scale_floor = scale_floor
        self.couplings = [
            SplineCoupling(latent_size, reverse=bool(step % 2), name=f"coupling_{step}", context=context, **spline)
            for step in range(couplings)
        ]

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=spline", features.shape[1:])
        if stop_gradient:
            features = tf.stop_gradient(features)
        loc, raw_scale, context = tf.split(features, self.sizes, axis=-1)
        standard = tfd.MultivariateNormalDiag(tf.zeros_like(loc), tf.ones_like(loc))
        last = LocScale(loc, positive(raw_scale, self.scale_floor, self.scale_activation))
        couplings = [coupling.bijector(context, stop_gradient) for coupling in self.couplings]
        return GaussianFlow(standard, tfb.Chain([last, *couplings[::-1]]))
