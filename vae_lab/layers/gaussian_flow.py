"""A Gaussian under a flow: what posteriors by flows share."""

import tensorflow as tf
import tensorflow_probability as tfp

MEAN_DRAWS = 64  # in pairs of noise and its negative
MEAN_SEED = (0, 64)


def mean_noise(size, seed=MEAN_SEED):
    """The noise [MEAN_DRAWS, size] that a mean by samples is over: pairs of a draw and its negative."""
    noise = tf.random.stateless_normal((MEAN_DRAWS // 2, size), seed)
    return tf.concat([noise, -noise], axis=0)


class GaussianFlow(tfp.distributions.TransformedDistribution):
    """A diagonal Gaussian under a flow, with a mean by samples.

    The mean is over 64 fixed draws, the same for every member of the batch: it does not depend on who else is in the
    batch, and its error is nearly common to all, so that it does not pass for variation between images.

    `log_prob` at the very tensor that the same distribution sampled takes what the flow computed on the way there; at
    any other it inverts the flow.
    """

    def _mean(self):
        loc, scale = self.distribution.mean(), self.distribution.stddev()
        noise = tf.reshape(mean_noise(loc.shape[-1]), (MEAN_DRAWS, *[1] * (len(loc.shape) - 1), loc.shape[-1]))
        return tf.reduce_mean(self.bijector.forward(loc + scale * noise), axis=0)
