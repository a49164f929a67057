"""Bernoulli pixels."""

import math
from functools import reduce

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.protocols import Likelihood

tfd = tfp.distributions


PIXELS_A_LOGARITHM = 14  # at most: 2^14 is still far from infinite


def summed_to(shape, value):
    """Sums `value` over the axes along which a tensor of that shape was broadcast to it."""
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(value))
    return tf.reshape(tf.reduce_sum(value, axes), shape)


@tf.custom_gradient
def bernoulli_log_prob(x, logits):
    """x [..., D] and logits [..., D], which broadcast -> sum_d x_d logit_d - log(1 + exp(logit_d)) [...].

    log(1 + exp(l)) = max(l, 0) + log(1 + exp(-|l|)), and log(1 + a) + log(1 + b) = log(1 + (a + b + a b)).
    """
    pixels = logits.shape[-1]
    together = max(count for count in range(1, PIXELS_A_LOGARITHM + 1) if pixels % count == 0)
    linear = tf.add_n(tf.split(x * logits - tf.nn.relu(logits), together, axis=-1))
    small = reduce(lambda a, b: a + b + a * b, tf.split(tf.exp(-tf.abs(logits)), together, axis=-1))

    def gradients(upstream):
        upstream = upstream[..., tf.newaxis]
        of_x, of_logits = upstream * logits, upstream * (x - tf.sigmoid(logits))
        return summed_to(tf.shape(x), of_x), summed_to(tf.shape(logits), of_logits)

    return tf.reduce_sum(linear - tf.math.log1p(small), axis=-1), gradients


class BernoulliImages(tfp.distributions.Independent):
    """Independent Bernoulli pixels, scored in one pass over flat images.

    XLA turns that pass into one vectorized loop; pixel by pixel over [H,W,C] the same sum takes several times as long,
    and is most of what an importance-weighted evaluation costs beside its matrix products.
    """

    def _log_prob(self, x):
        logits = self.distribution.logits
        pixels = math.prod(logits.shape[-3:])
        x, logits = (tf.reshape(part, tf.concat([tf.shape(part)[:-3], [pixels]], axis=0)) for part in (x, logits))
        return bernoulli_log_prob(x, logits)


class Bernoulli(keras.layers.Layer, Likelihood):
    """p(x|z) = prod_pixels Bernoulli(x; logits).

    For pixels strictly between 0 and 1 `log_prob` is minus the cross-entropy, which is no density: the option
    `allow_grey` admits them, and the check before a run refuses them otherwise.
    """

    params_size = 1

    def __init__(self, output_bias, allow_grey):
        super().__init__(name="likelihood")
        self.output_bias = output_bias
        self.allow_grey = allow_grey

    def distribution(self, parameters):
        return BernoulliImages(tfd.Bernoulli(logits=parameters, dtype=parameters.dtype), 3)

    def initial_parameters(self, mean):
        """The logit of the mean clipped to [.001, .999] (Burda, Grosse, Salakhutdinov 2016)."""
        if self.output_bias is None:
            return None
        clipped = np.clip(mean, 0.001, 0.999)
        return np.log(clipped) - np.log1p(-clipped)
