"""ELBO, rate and distortion of each image at fixed weights."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.binarization import intensities
from vae_lab.evaluation.noise import IMAGE_BLOCK, padded, posterior_samples


class ElboEvaluator:
    """Evaluates the K=1 bound, averaged over samples.

    Args:
      model: the VAE.
      closed_form_rate: take KL(q, p) in closed form, which the pair of posterior and prior must have; else by the
        same samples as the distortion.
      jit: whether XLA compiles the arithmetic.
    """

    def __init__(self, model, closed_form_rate, jit):
        self.model = model
        self.closed_form_rate = closed_form_rate
        self.jit = jit
        self._encode = tf.function(model.features, jit_compile=jit)
        self._terms = tf.function(self._batch_terms, jit_compile=jit)
        self._batch = tf.function(self._evaluate_batch)

    def _batch_terms(self, features, z, log_q, x):
        q, p = self.model.posterior.distribution(features), self.model.latent_prior()
        if self.closed_form_rate:
            rate = tfp.distributions.kl_divergence(q, p)
        else:
            rate = tf.reduce_mean(log_q - p.log_prob(z), axis=0)
        distortion = -tf.reduce_mean(self.model.decode(z).log_prob(x), axis=0)
        return rate, distortion, q.mean()

    def _evaluate_batch(self, pixels, levels, samples, seed, first_block):
        x = intensities(pixels, levels)
        features = self._encode(x)
        z, log_q = posterior_samples(self.model.posterior, features, samples, seed, "elbo", first_block, 0)
        return self._terms(features, z, log_q, x)

    def __call__(self, pixels, levels, samples, seed, batch_size) -> dict[str, np.ndarray]:
        """Evaluates every image, whatever the batch size.

        Args:
          pixels: uint8 [N,H,W,C], of `levels` levels.
          samples: draws of z an image.
          seed: the evaluation's seed.
          batch_size: images at once, a multiple of 100.

        Returns:
          float64 [N] by "elbo", "rate" and "distortion", in nats, and "posterior_mean" [N, latents].
        """
        rows = len(pixels)
        batch_size = min(batch_size, -(-rows // IMAGE_BLOCK) * IMAGE_BLOCK)
        stored = padded(pixels, batch_size)
        results = []
        for start in range(0, len(stored), batch_size):
            batch = tf.constant(stored[start : start + batch_size])
            block = tf.constant(start // IMAGE_BLOCK)
            results.append([part.numpy() for part in self._batch(batch, levels, samples, tf.constant(seed), block)])
        rate, distortion, mean = (
            np.concatenate(parts)[:rows].astype(np.float64) for parts in zip(*results, strict=True)
        )
        return {
            "elbo": -(rate + distortion),
            "rate": rate,
            "distortion": distortion,
            "posterior_mean": mean.reshape(rows, -1),
        }
