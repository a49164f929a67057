"""The ELBO's gradient by the score function, with a leave-one-out baseline."""

import tensorflow as tf

from vae_lab.estimator.objective import Objective


class ReinforceLOO(Objective):
    """The ELBO, every term at the sampled latents; its gradient does not differentiate the draw.

    With the cost c_k = -log p(x|z_k) + w (log q(z_k|x) - log p(z_k)) of K >= 2 draws, w the weight of the rate, the
    encoder's gradient is (1/K) sum_k (c_k - mean of the other c_j) d log q(z_k|x) / dphi: the score function, whose
    baseline is independent of the draw, so that it is unbiased for every posterior, discrete or not. Decoder and prior
    get d c_k at fixed z_k, and so does an encoder that a VampPrior uses. The score of q within c_k has mean zero and
    is left out. Each of the M groups has baselines of its own.

    The rate is by samples, never in closed form. With free bits its gradient is there where the batch's mean rate, by
    these samples, is above them; that switch shares its noise with the gradient, which is the one bias.

    References: Williams, "Simple Statistical Gradient-Following Algorithms", 1992; Salimans, Knowles, "On Using
    Control Variates with Stochastic Approximation for Variational Bayes", 2014; Kool, van Hoof, Welling, "Buy 4
    REINFORCE Samples, Get a Baseline for Free!", 2019, eq. 8.
    """

    def __call__(self, model, x, seed, epoch=None):
        q, p = model.encode(x), model.latent_prior()
        z = tf.stop_gradient(q.sample((self.groups, self.samples), seed=seed))
        log_q = q.log_prob(z)
        rate = tf.stop_gradient(log_q) - p.log_prob(z)
        distortion = -model.decode(z).log_prob(x)
        terms = self.elbo_terms(tf.reduce_mean(rate, axis=(0, 1)), tf.reduce_mean(distortion, axis=(0, 1)), epoch)

        weight = self.rate_weight(epoch)
        if self.free_bits:
            weight *= tf.cast(tf.reduce_mean(rate) > self.free_bits, rate.dtype)
        cost = distortion + weight * rate
        # c_k less the mean of the others is K / (K - 1) times c_k less the mean of all.
        excess = (cost - tf.reduce_mean(cost, axis=1, keepdims=True)) * (self.samples / (self.samples - 1))
        surrogate = tf.reduce_mean(tf.stop_gradient(excess) * log_q + cost, axis=(0, 1))
        return terms._replace(loss=surrogate + tf.stop_gradient(terms.loss - surrogate))
