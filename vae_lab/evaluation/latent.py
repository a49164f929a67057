"""What the latents carry."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def active_units(posterior_mean: np.ndarray, unit: float = 1.0, threshold: float = 0.01) -> int:
    """How many latents have posterior means [N, latents] whose variance over images is above the threshold.

    The threshold is in units of `unit`, what a latent varies by in its space: the variances of a unit vector's latents
    have a sum of 1 at most.
    The posterior mean of a bit, or of a category, is its probability: that varies with the image where it is used.

    References: Burda, Grosse, Salakhutdinov 2016, section 5.
    """
    return int(np.sum(np.var(posterior_mean, axis=0) > threshold * unit))


def marginals(distribution):
    """A distribution over latents [*latent] -> that of each latent alone, batch [..., *latent] and event [].

    None where a latent alone has no density that TFP knows: under a flow, or of bits that depend on each other. And of
    categories, which have no meaning without the others of their group.
    """
    if isinstance(distribution, tfd.Independent):
        distribution = distribution.distribution
    if isinstance(distribution, tfd.Bernoulli):
        return distribution
    if isinstance(distribution, tfd.MultivariateNormalLinearOperator):
        return tfd.Normal(distribution.mean(), distribution.stddev())
    if isinstance(distribution, tfd.MixtureSameFamily):
        components = marginals(distribution.components_distribution)
        if components is None:
            return None
        bits = isinstance(components, tfd.Bernoulli)
        parameters = (components.logits,) if bits else (components.loc, components.scale)
        each_latent = [keras.ops.moveaxis(part, 0, -1) for part in parameters]
        each_latent = tfd.Bernoulli(*each_latent, dtype=components.dtype) if bits else tfd.Normal(*each_latent)
        weights = distribution.mixture_distribution.logits_parameter()
        return tfd.MixtureSameFamily(tfd.Categorical(logits=weights), each_latent)
    return None


def marginal_kl(q, p, z) -> tf.Tensor | None:
    """KL(q(z_j|x), p(z_j)) of each latent alone, averaged over images; float64 [latents], in nats.

    In closed form where both are Gaussian, or both bits; else the mean over images of log q(z_j|x) - log p(z_j) at one
    draw an image. The sum is the rate where q and p both factorize, and is at most the rate where only p does.

    Args:
      q: q(z|x), batch [N].
      p: p(z).
      z: one draw from q, [N, *latent].

    Returns:
      None where `marginals` knows none of q or p.
    """
    q, p = marginals(q), marginals(p)
    if q is None or p is None:
        return None
    closed_form = isinstance(p, tfd.Normal | tfd.Bernoulli)
    kl = tfd.kl_divergence(q, p) if closed_form else q.log_prob(z) - p.log_prob(z)
    return tf.reshape(tf.reduce_mean(tf.cast(kl, tf.float64), axis=0), [-1])
