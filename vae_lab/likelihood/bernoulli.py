"""Bernoulli pixels."""

import math

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class BernoulliImages(tfp.distributions.Independent):
    """Independent Bernoulli pixels, scored in one pass over flat images.

    log p(x) = sum_pixels x logit - softplus(logit), which XLA turns into one vectorized loop; pixel by pixel over
    [H,W,C] the same sum takes three times as long, and is most of the cost of an importance-weighted evaluation.
    """

    def _log_prob(self, x):
        logits = self.distribution.logits
        pixels = math.prod(logits.shape[-3:])
        logits = tf.reshape(logits, tf.concat([tf.shape(logits)[:-3], [pixels]], axis=0))
        x = tf.reshape(x, tf.concat([tf.shape(x)[:-3], [pixels]], axis=0))
        return tf.reduce_sum(x * logits - tf.nn.softplus(logits), axis=-1)


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
