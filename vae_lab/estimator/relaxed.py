"""The ELBO's gradient through a continuous relaxation of discrete latents."""

import tensorflow as tf

from vae_lab.estimator.objective import Objective


class Relaxed(Objective):
    """The loss is the ELBO at relaxed latents y, whose draws are differentiable; the terms are those of the model.

    y is drawn from the posterior's `relaxed_distribution` at a temperature t, and z, the discrete latent nearest to y,
    is an exact draw from q(z|x). The loss's rate is -H(q) - log p(y): the entropy H of the discrete q in closed form,
    and the discrete prior's formula at y. At t -> 0, where y is z, its mean is the KL of the discrete model. It needs
    no closed form of the KL and no relaxed prior, so every prior of the same space will do; where p(z) is uniform and
    factorizes, it is the exact KL at any t. The gradient is biased, the less so the lower t is, and the noisier.

    With `straight_through` the loss is the ELBO at z, and is differentiated as if z were y.

    Rate, distortion, ELBO and bound are always those of the discrete z, which costs the relaxed loss a second pass of
    the decoder, forward only.

    References: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, sections 2.2 and 2.3;
    Maddison, Mnih, Teh, "The Concrete Distribution", 2017; the straight-through gradient: Bengio, Leonard, Courville,
    "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation", 2013.

    Args:
      temperature: t after the annealing, and after training.
      initial_temperature: t where the annealing begins.
      annealing_epochs: epochs over which t goes from the one to the other geometrically; with 0 it does not move.
      straight_through: whether to decode z.
      **objective: what every objective takes.
    """

    def __init__(self, temperature, initial_temperature, annealing_epochs, straight_through, **objective):
        super().__init__(**objective)
        self.temperature = temperature
        self.initial_temperature = initial_temperature
        self.annealing_epochs = annealing_epochs
        self.straight_through = straight_through

    def temperature_after(self, epoch=None):
        """t after `epoch` (fractional) epochs of training; None: after all of them."""
        if epoch is None or not self.annealing_epochs:
            return tf.constant(self.temperature, tf.float32)
        share = tf.minimum(1.0, epoch / self.annealing_epochs)
        return self.initial_temperature * (self.temperature / self.initial_temperature) ** share

    def __call__(self, model, x, seed, epoch=None):
        features, p = model.features(x), model.latent_prior()
        relaxed = model.posterior.relaxed_distribution(features, self.temperature_after(epoch))
        y = relaxed.sample(self.groups * self.samples, seed=seed)
        z = model.posterior.space.nearest(y)
        negative_entropy = -model.posterior.distribution(features).entropy()

        def terms_at(latents):
            rate = negative_entropy - tf.reduce_mean(p.log_prob(latents), axis=0)
            distortion = -tf.reduce_mean(model.decode(latents).log_prob(x), axis=0)
            return self.elbo_terms(rate, distortion, epoch)

        if self.straight_through:
            return terms_at(z + (y - tf.stop_gradient(y)))
        return terms_at(z)._replace(loss=terms_at(y).loss)
