"""Bernoulli pixels."""

import math
from functools import reduce

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


PIXELS_A_LOGARITHM = 14  # at most: 2^14 is still far from infinite


@tf.custom_gradient
def sum_of_softplus(logits):
    """logits [..., D] -> sum_d log(1 + exp(logit_d)) [...]; its gradient is the sigmoid.

    log(1 + exp(l)) = max(l, 0) + log(1 + exp(-|l|)), and log(1 + a) + log(1 + b) = log(1 + (a + b + a b)).
    """
    pixels = logits.shape[-1]
    together = max(count for count in range(1, PIXELS_A_LOGARITHM + 1) if pixels % count == 0)
    small = tf.split(tf.exp(-tf.abs(logits)), together, axis=-1)
    logarithms = tf.math.log1p(reduce(lambda a, b: a + b + a * b, small))
    value = tf.reduce_sum(tf.nn.relu(logits), axis=-1) + tf.reduce_sum(logarithms, axis=-1)
    return value, lambda upstream: upstream[..., tf.newaxis] * tf.sigmoid(logits)


class BernoulliImages(tfp.distributions.Independent):
    """Independent Bernoulli pixels, scored in one pass over flat images.

    log p(x) = sum_pixels x logit - softplus(logit), which XLA turns into vectorized loops; pixel by pixel over [H,W,C]
    the same sum takes several times as long, and is most of what an importance-weighted evaluation costs beside its
    matrix products.
    """

    def _log_prob(self, x):
        logits = self.distribution.logits
        pixels = math.prod(logits.shape[-3:])
        logits = tf.reshape(logits, tf.concat([tf.shape(logits)[:-3], [pixels]], axis=0))
        x = tf.reshape(x, tf.concat([tf.shape(x)[:-3], [pixels]], axis=0))
        return tf.reduce_sum(x * logits, axis=-1) - sum_of_softplus(logits)


class Bernoulli(keras.layers.Layer):
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
