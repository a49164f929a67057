"""The ELBO with its KL in closed form."""

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.estimator.objective import Objective


class AnalyticKL(Objective):
    """ELBO = E_q log p(x|z) - KL(q(z|x), p(z)): the first term by samples, the second exactly.

    References: Kingma, Welling 2014, eq. 10.
    """

    def __call__(self, model, x, seed, epoch=None):
        q, p = model.encode(x), model.latent_prior()
        z = q.sample(self.groups * self.samples, seed=seed)
        rate = tfp.distributions.kl_divergence(q, p)
        distortion = -tf.reduce_mean(model.decode(z).log_prob(x), axis=0)
        return self.elbo_terms(rate, distortion, epoch)
