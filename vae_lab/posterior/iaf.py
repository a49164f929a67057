"""Inverse autoregressive flow."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_flow import GaussianFlow
from vae_lab.layers.masked import MaskedNetwork
from vae_lab.numerics import positive
from vae_lab.protocols import Posterior

tfb = tfp.bijectors
tfd = tfp.distributions

OPEN = 2.0  # gates start at sigmoid(2) = .88, near the identity


class GatedStep(tfp.bijectors.Bijector):
    """z [...,L] -> gate * z + (1 - gate) * m; gate and m of latent i depend on the latents before i and the context.

    Forward takes one pass of the network. Inverse takes L of them, one a latent, in the network's order.
    """

    def __init__(self, network, context, floor, stop_gradient):
        # Without `parameters` no two bijectors are equal, so that none takes another's cached values.
        super().__init__(forward_min_event_ndims=1, name="gated_step")
        self._network, self._context = network, context
        self._floor, self._stop_gradient = floor, stop_gradient

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def _loc_and_gate(self, z):
        numbers = self._network.numbers(z, self._context, self._stop_gradient)
        loc, raw_gate = tf.split(numbers, 2, axis=-1)
        return loc, self._floor + (1.0 - self._floor) * tf.sigmoid(raw_gate + OPEN)

    def _forward(self, z):
        loc, gate = self._loc_and_gate(z)
        return gate * z + (1.0 - gate) * loc

    def _forward_log_det_jacobian(self, z):
        return tf.reduce_sum(tf.math.log(self._loc_and_gate(z)[1]), axis=-1)

    def _inverse(self, y):
        position = tf.constant(self._network.position)

        def solve_one(latent, z):
            loc, gate = self._loc_and_gate(z)
            return latent + 1, tf.where(position == latent, (y - (1.0 - gate) * loc) / gate, z)

        size = len(self._network.position)
        start = tf.zeros_like(self._forward(tf.zeros_like(y)))  # of the shape that y and the context broadcast to
        first = tf.constant(1, position.dtype)
        return tf.while_loop(lambda latent, z: latent <= size, solve_one, (first, start), maximum_iterations=size)[1]


class IAF(keras.layers.Layer, Posterior):
    """q(z|x): z_0 ~ N(loc, diag(scale^2)), then `steps` times z <- gate * z + (1 - gate) * m.

    m and gate come from a masked network of z and of a context vector from the encoder; latents are counted in
    reverse in every other step. The features are loc [L], the unconstrained scale [L] and the context, one after the
    other. `scale_floor` bounds the scale and the gates from below.

    `log_prob` is fast at the very tensor that the same distribution sampled. At any other z it inverts the flow latent
    by latent: `steps` * L passes of a network, each amplifying rounding errors by 1 / gate.

    References: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling, "Improving Variational Inference with Inverse
    Autoregressive Flow", 2016, algorithm 1.
    """

    def __init__(self, latent_size, steps, hidden, context, activation, scale_activation, scale_floor):
        super().__init__(name="posterior")
        self.sizes = (latent_size, latent_size, context)
        self.params_size = sum(self.sizes)
        self.scale_activation = scale_activation
        self.scale_floor = scale_floor
        self.networks = [
            MaskedNetwork(latent_size, context, 2, hidden, activation, reverse=bool(step % 2), name=f"step_{step}")
            for step in range(steps)
        ]

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=iaf", features.shape[1:])
        if stop_gradient:
            features = tf.stop_gradient(features)
        loc, raw_scale, context = tf.split(features, self.sizes, axis=-1)
        base = tfd.MultivariateNormalDiag(loc, positive(raw_scale, self.scale_floor, self.scale_activation))
        steps = [GatedStep(network, context, self.scale_floor, stop_gradient) for network in self.networks]
        return GaussianFlow(base, tfb.Chain(steps[::-1]))
