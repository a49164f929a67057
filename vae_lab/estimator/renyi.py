"""The variational Renyi bound."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.estimator.importance_weighted import ImportanceWeighted

NEAR_ONE = 0.01  # how near to 1 alpha is when the logarithm of a mean near 1 is divided by a number near 0


class Renyi(ImportanceWeighted):
    """L_alpha = 1/(1 - alpha) log (1/K) sum_k w_k^(1 - alpha), w_k = p(x, z_k) / q(z_k|x), z_k from q.

    It falls in alpha, draw by draw: -inf takes the largest weight alone (VR-max), 0 is the importance-weighted bound,
    1 the ELBO, and above 1 the small weights count most. With K it tends to log p(x) - D_alpha(q, p(z|x)), D the Renyi
    divergence. For alpha >= 0 its mean is at most log p(x), whatever K is. For alpha < 0 it is no bound: it tends to
    more than log p(x), and few samples bring it down, below or not (corollary 1 of the paper).

    The M groups are averaged. References: Li, Turner, "Renyi Divergence Variational Inference", 2016, sections 4.1 and
    4.2, for every real alpha (theorem 2).

    Args:
      alpha: the order, a number or -inf.
    """

    def __init__(self, alpha, **shared):
        super().__init__(**shared)
        self.power = 1.0 - float(alpha)

    def of_groups(self, log_weight):
        if self.power == 0.0:
            return tf.reduce_mean(log_weight, axis=1)
        if self.power == math.inf:
            return tf.reduce_max(log_weight, axis=1)
        if abs(self.power) >= NEAR_ONE:
            return tfp.math.reduce_logmeanexp(self.power * log_weight, axis=1) / self.power
        reduce_extreme = tf.reduce_max if self.power > 0 else tf.reduce_min
        extreme = tf.stop_gradient(reduce_extreme(log_weight, axis=1, keepdims=True))
        excess = tf.reduce_mean(tf.math.expm1(self.power * (log_weight - extreme)), axis=1)
        return tf.squeeze(extreme, axis=1) + tf.math.log1p(excess) / self.power
