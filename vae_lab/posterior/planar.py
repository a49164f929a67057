"""Planar flow."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_flow import GaussianFlow
from vae_lab.layers.tanh_root import slope_at, tanh_root
from vae_lab.numerics import inverse_softplus, positive
from vae_lab.protocols import Posterior

tfb = tfp.bijectors
tfd = tfp.distributions

TINY = 1e-12  # of w'w, where no direction is left to correct along


def corrected(w, u, slope_floor):
    """w and u [...,L] -> u^ [...,L] with w'u^ > -1, and 1 + w'u^ [...,1], above `slope_floor`.

    The part of u along w is changed so that w'u^ = softplus(w'u + log(e - 1)) - 1. The paper's softplus lacks the
    constant, by which w'u = 0 is left alone: u^ stays finite as w goes to 0, and u = 0 is the identity.
    """
    along = tf.reduce_sum(w * u, axis=-1, keepdims=True)
    slope = positive(along + inverse_softplus(1.0 - slope_floor), slope_floor)
    return u + w * (slope - 1.0 - along) / tf.maximum(tf.reduce_sum(w * w, axis=-1, keepdims=True), TINY), slope


class PlanarStep(tfp.bijectors.Bijector):
    """z [...,L] -> z + u^ tanh(w'z + b); w and u^ [...,L], `slope` = 1 + w'u^ > 0 and b [...,1]."""

    def __init__(self, w, u, slope, b):
        # Without `parameters` no two bijectors are equal, so that none takes another's cached values.
        super().__init__(forward_min_event_ndims=1, name="planar_step")
        self._w, self._u, self._slope, self._b = w, u, slope, b

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def _height(self, z):
        return tf.reduce_sum(self._w * z, axis=-1, keepdims=True) + self._b

    def _forward(self, z):
        return z + self._u * tf.tanh(self._height(z))

    def _forward_log_det_jacobian(self, z):
        return tf.math.log(slope_at(tf.tanh(self._height(z)), self._slope))[..., 0]

    def _inverse(self, y):
        # With v = w'z + b, of which all else follows: v + w'u^ tanh(v) = w'y + b.
        return y - self._u * tf.tanh(tanh_root(self._height(y), self._slope))


class Planar(keras.layers.Layer, Posterior):
    """q(z|x): z_0 ~ N(loc, diag(scale^2)), then `steps` times z <- z + u tanh(w'z + b).

    The features are loc [L], the unconstrained scale [L], and of each step w [L], u [L] and b [1], one after the
    other. `scale_floor` bounds the scale from below, `slope_floor` the determinant of each step.

    The inverse has no closed form, but it is one number a step: the root of an increasing function, by a fixed number
    of Newton's steps. It amplifies rounding errors by up to 1 / slope_floor a step.

    References: Rezende, Mohamed, "Variational Inference with Normalizing Flows", 2015, section 4.1 and appendix A.1;
    with every parameter from the encoder: van den Berg, Hasenclever, Tomczak, Welling, "Sylvester Normalizing Flows
    for Variational Inference", 2018.
    """

    def __init__(self, latent_size, steps, slope_floor, scale_activation, scale_floor):
        super().__init__(name="posterior")
        self.steps = steps
        self.step_sizes = (latent_size, latent_size, 1)
        self.sizes = (latent_size, latent_size, steps * sum(self.step_sizes))
        self.params_size = sum(self.sizes)
        self.slope_floor = slope_floor
        self.scale_activation = scale_activation
        self.scale_floor = scale_floor

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=planar", features.shape[1:])
        if stop_gradient:
            features = tf.stop_gradient(features)
        loc, raw_scale, of_steps = tf.split(features, self.sizes, axis=-1)
        base = tfd.MultivariateNormalDiag(loc, positive(raw_scale, self.scale_floor, self.scale_activation))
        of_steps = tf.reshape(of_steps, (tf.shape(loc)[0], self.steps, sum(self.step_sizes)))
        w, u, b = tf.split(of_steps, self.step_sizes, axis=-1)
        parts = (w, *corrected(w, u, self.slope_floor), b)
        steps = [PlanarStep(*of_step) for of_step in zip(*(tf.unstack(part, axis=1) for part in parts), strict=True)]
        return GaussianFlow(base, tfb.Chain(steps[::-1]))
