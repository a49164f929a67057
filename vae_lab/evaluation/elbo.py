"""ELBO, rate and distortion of each image at fixed weights."""

from functools import partial

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.binarization import intensities
from vae_lab.evaluation.blocks import IMAGE_BLOCK, block_of, blocks_in, posterior_samples

BLOCKS_A_CALL = 10  # Ctrl-C is heard between calls
BLOCKS_AT_ONCE = 2


class ElboEvaluator:
    """Evaluates the K=1 bound, averaged over samples.

    Args:
      model: the VAE.
      closed_form_rate: take KL(q, p) in closed form, which the pair of posterior and prior must have; else by the
        same samples as the distortion.
      jit: whether XLA compiles the likelihood. Networks are left to TensorFlow's own kernels, whose matrix products
        are faster than XLA's on a CPU.
    """

    def __init__(self, model, closed_form_rate, jit):
        self.model = model
        self.closed_form_rate = closed_form_rate
        self._conditional_log_prob = tf.function(model.conditional_log_prob, jit_compile=jit)
        self._by_samples = {}

    def _traced(self, samples, image_shape):
        """The evaluation of some blocks, traced once for however many images they have."""
        if samples not in self._by_samples:
            images, number = tf.TensorSpec([None, *image_shape], tf.float32), tf.TensorSpec([], tf.int32)
            evaluate = partial(self._evaluate, samples)
            self._by_samples[samples] = tf.function(evaluate, input_signature=[images, number, number])
        return self._by_samples[samples]

    def _evaluate(self, samples, x, seed, first):
        prior = self.model.latent_prior()
        return tf.map_fn(
            lambda number: self._evaluate_block(samples, block_of(x, number), prior, seed, first + number),
            tf.range(blocks_in(tf.shape(x)[0])),
            fn_output_signature=(tf.float32, tf.float32, tf.float32),
            parallel_iterations=BLOCKS_AT_ONCE,
        )

    def _evaluate_block(self, samples, x, prior, seed, number):
        features = self.model.features(x)
        z, log_q = posterior_samples(self.model.posterior, features, samples, seed, "elbo", number, 0)
        q = self.model.posterior.distribution(features)
        if self.closed_form_rate:
            rate = tfp.distributions.kl_divergence(q, prior)
        else:
            rate = tf.reduce_mean(log_q - prior.log_prob(z), axis=0)
        distortion = -tf.reduce_mean(self._conditional_log_prob(self.model.likelihood_parameters(z), x), axis=0)
        return rate, distortion, q.mean()

    def __call__(self, images, samples, seed) -> dict[str, np.ndarray]:
        """Evaluates every image.

        Args:
          images: N of them.
          samples: draws of z an image.
          seed: the evaluation's seed.

        Returns:
          float64 [N] by "elbo", "rate" and "distortion", in nats, and "posterior_mean" [N, latents].
        """
        evaluate, results = self._traced(samples, images.shape), []
        for first in range(0, blocks_in(len(images)), BLOCKS_A_CALL):
            rows = slice(first * IMAGE_BLOCK, (first + BLOCKS_A_CALL) * IMAGE_BLOCK)
            x = intensities(images.pixels[rows], images.levels)
            found = evaluate(x, tf.constant(seed), tf.constant(first))
            results.append([part.numpy().reshape(-1, *part.shape[2:])[: len(x)] for part in found])
        rate, distortion, mean = (np.concatenate(parts).astype(np.float64) for parts in zip(*results, strict=True))
        return {
            "elbo": -(rate + distortion),
            "rate": rate,
            "distortion": distortion,
            "posterior_mean": mean.reshape(len(mean), -1),
        }
