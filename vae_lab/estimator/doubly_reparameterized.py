"""The importance-weighted bound with the doubly reparameterized gradient for the encoder."""

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.estimator.objective import Objective


class DoublyReparameterized(Objective):
    """L_K as it is; the encoder's gradient is sum_k w_k^2 d log w_k / dz_k dz_k / dphi, w the normalized weights.

    Unbiased for every K, and its signal-to-noise ratio does not fall with K. Decoder and prior keep the gradient
    sum_k w_k d log w_k / dtheta: the second pass, at z held fixed, takes the squared weights off theirs. References:
    Tucker et al., "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives", 2019, eq. 8.
    """

    def __call__(self, model, x, seed, epoch=None):
        z, p, rate, distortion = self.along_the_path(model, x, seed)
        log_weight = -(rate + distortion)
        bound = tf.reduce_mean(tfp.math.reduce_logmeanexp(log_weight, axis=1), axis=0)

        fixed = tf.stop_gradient(z)
        at_fixed = model.decode(fixed).log_prob(x) + p.log_prob(fixed)
        weight = tf.stop_gradient(tf.nn.softmax(log_weight, axis=1))
        surrogate = weight**2 * (log_weight - at_fixed) + weight * at_fixed
        surrogate = tf.reduce_mean(tf.reduce_sum(surrogate, axis=1), axis=0)
        return self.bound_terms(rate, distortion, bound, loss=-(surrogate + tf.stop_gradient(bound - surrogate)))
