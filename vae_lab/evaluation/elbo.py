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
      jit: whether XLA compiles the likelihood. Networks are left to TensorFlow's own kernels: their products are a
        quarter faster than XLA's on a CPU.
    """

    def __init__(self, model, closed_form_rate, jit):
        self.model = model
        self.closed_form_rate = closed_form_rate
        self._conditional_log_prob = tf.function(model.conditional_log_prob, jit_compile=jit)
        self._split = tf.function(self._evaluate_split)

    def _evaluate_split(self, pixels, levels, samples, seed):
        blocks = tf.reshape(pixels, (-1, IMAGE_BLOCK, *pixels.shape[1:]))
        return tf.map_fn(
            lambda block: self._evaluate_block(block[0], block[1], levels, samples, seed),
            (blocks, tf.range(tf.shape(blocks)[0])),
            fn_output_signature=(tf.float32, tf.float32, tf.float32),
        )

    def _evaluate_block(self, pixels, number, levels, samples, seed):
        x = intensities(pixels, levels)
        features = self.model.features(x)
        z, log_q = posterior_samples(self.model.posterior, features, samples, seed, "elbo", number, 0)
        q, p = self.model.posterior.distribution(features), self.model.latent_prior()
        if self.closed_form_rate:
            rate = tfp.distributions.kl_divergence(q, p)
        else:
            rate = tf.reduce_mean(log_q - p.log_prob(z), axis=0)
        distortion = -tf.reduce_mean(self._conditional_log_prob(self.model.parameters(z), x), axis=0)
        return rate, distortion, q.mean()

    def __call__(self, pixels, levels, samples, seed) -> dict[str, np.ndarray]:
        """Evaluates every image.

        Args:
          pixels: uint8 [N,H,W,C], of `levels` levels.
          samples: draws of z an image.
          seed: the evaluation's seed.

        Returns:
          float64 [N] by "elbo", "rate" and "distortion", in nats, and "posterior_mean" [N, latents].
        """
        # Traced once for splits of any length.
        rows = tf.TensorSpec([None, *pixels.shape[1:]], pixels.dtype)
        evaluate = self._split.get_concrete_function(rows, levels, samples, tf.TensorSpec([], tf.int32))
        found = evaluate(tf.constant(padded(pixels)), tf.constant(seed))
        rate, distortion, mean = (
            part.numpy().reshape(-1, *part.shape[2:])[: len(pixels)].astype(np.float64) for part in found
        )
        return {
            "elbo": -(rate + distortion),
            "rate": rate,
            "distortion": distortion,
            "posterior_mean": mean.reshape(len(mean), -1),
        }
