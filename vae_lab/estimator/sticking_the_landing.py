"""The importance-weighted bound with its path gradient alone."""

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.estimator.objective import Objective


class StickingTheLanding(Objective):
    """L_K as it is, and its gradient without the score of q: log q(z|x) is differentiated through z only.

    At the exact posterior the gradient is zero for every sample. Unbiased for K = 1, biased for K > 1 (there the
    doubly reparameterized estimator is the unbiased one). References: Roeder, Wu, Duvenaud, "Sticking the Landing",
    2017.
    """

    def __call__(self, model, x, seed, epoch=None):
        _, _, rate, distortion = self.along_the_path(model, x, seed)
        bound = tf.reduce_mean(tfp.math.reduce_logmeanexp(-(rate + distortion), axis=1), axis=0)
        return self.bound_terms(rate, distortion, bound, loss=-bound)
