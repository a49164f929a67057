"""From rate and distortion to an estimator's terms."""

import tensorflow as tf

from vae_lab.protocols import Estimator, Terms


class Objective(Estimator):
    """What all estimators share: how many samples, and how the loss weighs the rate.

    Args:
      samples: K, draws of z a group.
      groups: M, independent groups, averaged.
      beta: weight of the rate in the loss (Higgins et al. 2017).
      warmup_epochs: epochs over which that weight rises linearly from 0 (Bowman et al. 2016; Sonderby et al. 2016).
      cycle_epochs: after so many epochs the rise begins again (Fu et al. 2019); None for a single one.
      free_bits: nats of the batch's mean rate that cost nothing (Kingma et al. 2016, eq. 15): of each layer of latents,
        where there are layers.

    None of these changes the reported rate, distortion, ELBO or bound.
    """

    def __init__(self, samples, groups, beta, warmup_epochs, cycle_epochs, free_bits):
        self.samples = samples
        self.groups = groups
        self.beta = beta
        self.warmup_epochs = warmup_epochs
        self.cycle_epochs = cycle_epochs
        self.free_bits = free_bits

    def rate_weight(self, epoch=None):
        """The weight of the rate after `epoch` (fractional) epochs of training; None: all warm-up is over."""
        if epoch is None or not self.warmup_epochs:
            return self.beta
        position = epoch % self.cycle_epochs if self.cycle_epochs else epoch
        return self.beta * tf.minimum(1.0, position / self.warmup_epochs)

    def along_the_path(self, model, x, seed):
        """Draws, and what they cost, with log q(z|x) differentiated through z alone: the path gradient.

        Returns:
          z [M,K,B,*latent]; the prior; rate and distortion [M,K,B] at each z.
        """
        features, p = model.features(x), model.latent_prior()
        z = model.posterior.distribution(features).sample((self.groups, self.samples), seed=seed)
        q = model.posterior.distribution(features, stop_gradient=True)
        return z, p, q.log_prob(z) - p.log_prob(z), -model.decode(z).log_prob(x)

    def layer_rates(self, q, p, z):
        """z [S,B,L] from q -> the rate of each layer of latents, a list of [B]; None where one limit is for all."""
        if not self.free_bits or not (hasattr(q, "layer_log_probs") and hasattr(p, "layer_log_probs")):
            return None
        layers = zip(q.layer_log_probs(z), p.layer_log_probs(z), strict=True)
        return [tf.reduce_mean(of_q - of_p, axis=0) for of_q, of_p in layers]

    def elbo_terms(self, rate, distortion, epoch=None, layers=None) -> Terms:
        """rate [B], distortion [B], what the rate is the sum of (or None) -> the terms of an estimator of the ELBO."""
        charged = rate
        if self.free_bits:
            charged = sum(tf.maximum(tf.reduce_mean(layer), self.free_bits) for layer in layers or [rate])
        elbo = -(rate + distortion)
        return Terms(distortion + self.rate_weight(epoch) * charged, rate, distortion, elbo, bound=elbo)

    def bound_terms(self, rate, distortion, bound, loss) -> Terms:
        """rate and distortion [M,K,B], an importance-weighted bound [B] and its loss [B] -> terms."""
        rate, distortion = tf.reduce_mean(rate, axis=(0, 1)), tf.reduce_mean(distortion, axis=(0, 1))
        return Terms(loss, rate, distortion, -(rate + distortion), bound)
