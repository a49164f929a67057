"""The importance-weighted bound's gradient by the score function, with a leave-one-out baseline."""

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.estimator.objective import Objective


class VIMCO(Objective):
    """L_K as it is; its gradient does not differentiate the draw, and is unbiased for every posterior.

    It is sum_k (L - L_-k) d log q(z_k|x) + sum_k w_k d log p(x, z_k) / q(z_k|x) at fixed z_k, w the normalized
    weights. L is the bound of these K >= 2 draws, and L_-k the same with the weight of z_k replaced by the geometric
    mean of the others, so that it is independent of z_k and a baseline of its own for each draw.

    References: Mnih, Rezende, "Variational Inference for Monte Carlo Objectives", 2016, eqs. 7 and 10.
    """

    def __call__(self, model, x, seed, epoch=None):
        q, p = model.encode(x), model.latent_prior()
        z = tf.stop_gradient(q.sample((self.groups, self.samples), seed=seed))
        log_q = q.log_prob(z)
        rate = log_q - p.log_prob(z)
        distortion = -model.decode(z).log_prob(x)
        log_weight = -(rate + distortion)
        bounds = tfp.math.reduce_logmeanexp(log_weight, axis=1)
        signal = tf.stop_gradient(bounds[:, tf.newaxis] - self.bounds_without_each(log_weight))
        surrogate = tf.reduce_mean(bounds + tf.reduce_sum(signal * log_q, axis=1), axis=0)
        bound = tf.reduce_mean(bounds, axis=0)
        return self.bound_terms(rate, distortion, bound, loss=-(surrogate + tf.stop_gradient(bound - surrogate)))

    def bounds_without_each(self, log_weight):
        """log weights [M,K,B] -> L_-k [M,K,B]."""
        total = tf.reduce_sum(log_weight, axis=1, keepdims=True)
        mean_of_others = (total - log_weight) / (self.samples - 1)
        left_out = tf.eye(self.samples, dtype=tf.bool)[:, :, tf.newaxis]
        replaced = tf.where(left_out, mean_of_others[:, :, tf.newaxis], log_weight[:, tf.newaxis])
        return tfp.math.reduce_logmeanexp(replaced, axis=2)
