"""Logistic pixels, rounded to grey levels."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.likelihood.bisection import increasing_inverse
from vae_lab.likelihood.location_scale import LocationScale

tfd = tfp.distributions


class LogisticLevels(tfp.distributions.Distribution):
    """Logistic(loc, scale), rounded to the nearest of the levels k / (levels - 1), k = 0 .. levels - 1.

    Below the first level and above the last there are no others, so these two take the tails. `log_prob` rounds its
    argument to a level.
    """

    def __init__(self, loc, scale, levels):
        parameters = dict(locals())
        self.loc, self.scale, self.levels = loc, scale, levels
        super().__init__(
            dtype=loc.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"loc": tfp.util.ParameterProperties(), "scale": tfp.util.ParameterProperties()}

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _log_prob(self, x):
        """log of F(b) - F(a), F the logistic function, a and b the level's edges in scales from loc.

        F(b) - F(a) = F(b) F(-a) (1 - exp(a - b)), whose factors never cancel; at the first level a is -inf, at the
        last b is inf.
        """
        last = self.levels - 1
        level = tf.round(x * last)
        below = ((level - 0.5) / last - self.loc) / self.scale
        above = ((level + 0.5) / last - self.loc) / self.scale
        log_width = tf.math.log(-tf.math.expm1(-1 / (last * self.scale)))
        return (
            tf.where(level < last, tf.math.log_sigmoid(above), 0.0)
            + tf.where(level > 0, tf.math.log_sigmoid(-below), 0.0)
            + tf.where((level > 0) & (level < last), log_width, 0.0)
        )

    def _mean(self):
        """The exact mean, (1 / last) sum_k P(level >= k), an edge at a time: memory does not grow with the levels."""
        edges = tf.constant((np.arange(1, self.levels) - 0.5) / (self.levels - 1), self.dtype)
        start = tf.zeros_like(self.loc + self.scale)
        return tf.foldl(lambda total, edge: total + tf.sigmoid((self.loc - edge) / self.scale), edges, start) / (
            self.levels - 1
        )

    def _sample_n(self, n, seed=None):
        last = self.levels - 1
        level = tf.round(tfd.Logistic(self.loc, self.scale).sample(n, seed=seed) * last)
        return tf.clip_by_value(level, 0.0, last) / last


class DiscretizedLogistic(LocationScale):
    """p(x|z) = prod_pixels P(level of x), by differences of the logistic CDF at the edges between grey levels.

    loc and scale are in units of x, in which the levels are k / (levels - 1). The mean is that of the levels, not loc.

    References: Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016; Salimans,
    Karpathy, Chen, Kingma, "PixelCNN++", 2017.
    """

    def __init__(self, levels, scale, initial_scale, scale_floor, output_bias):
        super().__init__(scale, initial_scale, scale_floor, "linear", output_bias)
        self.levels = levels

    def pixels(self, loc, scale):
        return LogisticLevels(loc, scale, self.levels)

    def initial_loc(self, mean):
        """The loc that has the mean, clipped to [.001, .999], at `initial_scale`."""
        edges = (np.arange(1, self.levels) - 0.5) / (self.levels - 1)

        def mean_of(loc):
            return (0.5 + 0.5 * np.tanh((loc[..., np.newaxis] - edges) / (2 * self.initial_scale))).mean(axis=-1)

        reach = 10 * self.initial_scale
        return increasing_inverse(mean_of, np.clip(mean, 0.001, 0.999), -reach, 1 + reach)
