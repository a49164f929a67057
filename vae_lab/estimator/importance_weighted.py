"""The importance-weighted bound."""

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.estimator.objective import Objective


class ImportanceWeighted(Objective):
    """L_K = E log (1/K) sum_k p(x, z_k) / q(z_k|x), z_k from q; with K = 1 the ELBO.

    References: Burda, Grosse, Salakhutdinov, "Importance Weighted Autoencoders", 2016, eq. 8.
    """

    def __call__(self, model, x, seed, epoch=None):
        q, p = model.encode(x), model.latent_prior()
        z = q.sample((self.groups, self.samples), seed=seed)
        rate = q.log_prob(z) - p.log_prob(z)
        distortion = -model.decode(z).log_prob(x)
        bound = tf.reduce_mean(self.of_groups(-(rate + distortion)), axis=0)
        return self.bound_terms(rate, distortion, bound, loss=-bound)

    def of_groups(self, log_weight):
        """log p(x, z) / q(z|x) [M,K,B], in nats -> the bound by each group's K samples [M,B]."""
        return tfp.math.reduce_logmeanexp(log_weight, axis=1)
