"""The thermodynamic variational objective."""

import numpy as np
import tensorflow as tf

from vae_lab.estimator.objective import Objective


class Thermodynamic(Objective):
    """TVO: the left Riemann sum of log p(x) = int_0^1 E_b[log w] db over a partition of [0, 1], w = p(x, z) / q(z|x).

    E_b is over q(z|x) w^b, normalized, and is estimated by the K samples z_k of q with the weights w_k^b, normalized
    (`sums`). The integrand rises in b, also as estimated: the left sum lies between the samples' ELBO, which it is with
    one interval, and their L_K, and its mean is therefore at most log p(x). The right sum bounds log p(x) from above as
    K grows.

    The gradient is the paper's: E_b[d log w] + Cov_b[d(b log p(x, z) + (1 - b) log q(z|x)), log w], the covariance with
    K / (K - 1), which makes it unbiased at b = 0. At b > 0 its bias is of order 1/K. Nothing is differentiated through
    z, so any posterior with a density will do. The M groups are averaged.

    References: Masrani, Le, Wood, "The Thermodynamic Variational Objective", 2019.

    Args:
      intervals: how many the partition has, unless it is given: 0, then `intervals` points at equal ratios from
        `smallest_beta` to 1.
      smallest_beta: the first point above 0.
      partition: all points, rising from 0 to 1; None for the above.
    """

    def __init__(self, intervals, smallest_beta, partition, **shared):
        super().__init__(**shared)
        if partition is None:
            partition = [0.0, *np.geomspace(smallest_beta, 1.0, intervals)[:-1], 1.0]
        self.partition = np.array(partition, float)

    def heated(self, log_weight):
        """log w [M,K,B] -> normalized weights [T+1,M,K,B] and E_b[log w] [T+1,M,B] at the T+1 points b."""
        at_points = tf.constant(self.partition, log_weight.dtype)[:, None, None, None] * log_weight
        weight = tf.nn.softmax(at_points, axis=2)
        return weight, tf.reduce_sum(weight * log_weight, axis=2)

    def sums(self, log_weight):
        """log w [M,K,B] -> left and right Riemann sums by each group's K samples, [M,B] each, in nats."""
        return self._sums(self.heated(log_weight)[1])

    def _sums(self, mean):
        widths = tf.constant(np.diff(self.partition), mean.dtype)
        return tf.tensordot(widths, mean[:-1], 1), tf.tensordot(widths, mean[1:], 1)

    def __call__(self, model, x, seed, epoch=None):
        q, p = model.encode(x), model.latent_prior()
        z = tf.stop_gradient(q.sample((self.groups, self.samples), seed=seed))
        log_q = q.log_prob(z)
        rate = log_q - p.log_prob(z)
        distortion = -model.decode(z).log_prob(x)
        log_weight = -(rate + distortion)
        weight, mean = self.heated(tf.stop_gradient(log_weight))
        bound = tf.reduce_mean(self._sums(mean)[0], axis=0)

        widths = tf.constant(np.diff(self.partition), log_weight.dtype)
        betas = tf.constant(self.partition[:-1], log_weight.dtype)
        covariance = self.samples / (self.samples - 1) * weight * (tf.stop_gradient(log_weight) - mean[:, :, None])
        # What d log w and d log q are multiplied by, in the sum over the intervals: log p(x, z) is log w + log q.
        of_weight = tf.tensordot(widths, weight[:-1], 1) + tf.tensordot(widths * betas, covariance[:-1], 1)
        of_q = tf.tensordot(widths, covariance[:-1], 1)
        surrogate = tf.reduce_mean(tf.reduce_sum(of_weight * log_weight + of_q * log_q, axis=1), axis=0)
        return self.bound_terms(rate, distortion, bound, loss=-(surrogate + tf.stop_gradient(bound - surrogate)))
