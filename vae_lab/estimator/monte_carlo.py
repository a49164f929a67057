"""The ELBO with every term at the sampled latents."""

import tensorflow as tf

from vae_lab.estimator.objective import Objective


class MonteCarlo(Objective):
    """ELBO = E_q [log p(x|z) + log p(z) - log q(z|x)], all three by the same samples.

    Needs no closed form, so any posterior goes with any prior. References: Kingma, Welling 2014, eq. 6.
    """

    def __call__(self, model, x, seed, epoch=None):
        q, p = model.encode(x), model.latent_prior()
        z = q.sample(self.groups * self.samples, seed=seed)
        rate = tf.reduce_mean(q.log_prob(z) - p.log_prob(z), axis=0)
        distortion = -tf.reduce_mean(model.decode(z).log_prob(x), axis=0)
        return self.elbo_terms(rate, distortion, epoch, self.layer_rates(q, p, z))
