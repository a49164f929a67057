"""A free distribution over the grey levels of each pixel."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.likelihood.bisection import increasing_inverse
from vae_lab.protocols import Likelihood

tfd = tfp.distributions


class CategoricalLevels(tfp.distributions.Distribution):
    """softmax(logits) over the levels k / (levels - 1); logits [..., levels]. `log_prob` rounds to a level."""

    def __init__(self, logits):
        parameters = dict(locals())
        self.level = tfd.Categorical(logits)
        self.last = logits.shape[-1] - 1
        super().__init__(
            dtype=logits.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"logits": tfp.util.ParameterProperties(event_ndims=1)}

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _log_prob(self, x):
        return self.level.log_prob(tf.cast(tf.round(x * self.last), tf.int32))

    def _mean(self):
        # On a CPU tf.nn.softmax refuses more than five axes; tf.nn.log_softmax takes any number.
        return tf.linalg.matvec(tf.exp(tf.nn.log_softmax(self.level.logits)), tf.range(self.last + 1.0) / self.last)

    def _sample_n(self, n, seed=None):
        return tf.cast(self.level.sample(n, seed=seed), self.dtype) / self.last


class Categorical(keras.layers.Layer, Likelihood):
    """p(x|z) = prod_pixels softmax(logits)[level of x], x = level / (levels - 1).

    The parameters are the logits of a pixel's first channel, then those of the next.
    """

    def __init__(self, levels, output_bias):
        super().__init__(name="likelihood")
        self.params_size = levels
        self.output_bias = output_bias

    def distribution(self, parameters):
        channels = parameters.shape[-1] // self.params_size
        logits = tf.stack(tf.split(parameters, channels, axis=-1), axis=-2)
        return tfd.Independent(CategoricalLevels(logits), 3)

    def initial_parameters(self, mean):
        """log P(level) = slope level + const, the distribution of greatest entropy with that mean.

        The mean is clipped to [.01, .99], which keeps the logits of 256 levels within 100.
        """
        if self.output_bias is None:
            return None
        level = np.arange(self.params_size)

        def log_prob(slope):
            logits = slope[..., np.newaxis] * level
            logits = logits - logits.max(axis=-1, keepdims=True)
            return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))

        def mean_of(slope):
            return np.exp(log_prob(slope)) @ level / (self.params_size - 1)

        log_probs = log_prob(increasing_inverse(mean_of, np.clip(mean, 0.01, 0.99), -10.0, 10.0))
        return log_probs.reshape(*log_probs.shape[:-2], -1)
