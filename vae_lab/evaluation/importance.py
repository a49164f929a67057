"""log p(x) of each image by importance sampling."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from vae_lab.binarization import intensities
from vae_lab.evaluation.blocks import IMAGE_BLOCK, SAMPLE_BLOCK, block_of, blocks_in, posterior_samples

BLOCKS_AT_ONCE = 2
# So many samples of a block of images are decoded at a time: their pixels stay in the cores' caches.
SAMPLES_AT_ONCE = 10


class LogLikelihoodEvaluator:
    """Estimates log p(x) by log (1/K) sum_k p(x|z_k) p(z_k) / q(z_k|x), z_k from the posterior.

    A lower bound in expectation that rises to log p(x) with K (Burda, Grosse, Salakhutdinov 2016). Memory does not
    grow with K: samples come in blocks and the sum is kept as a running log-sum-exp in float64.

    Args:
      model: the VAE.
      jit: whether XLA compiles the likelihood, as of `ElboEvaluator`.
    """

    def __init__(self, model, jit):
        self.model = model
        self._conditional_log_prob = tf.function(model.conditional_log_prob, jit_compile=jit)
        self._block = tf.function(self._evaluate_block)

    def _log_likelihoods(self, z, x, samples):
        part = next(size for size in range(SAMPLES_AT_ONCE, 0, -1) if samples % size == 0)
        parts = tf.reshape(z, (samples // part, part, IMAGE_BLOCK, *self.model.latent_shape))
        found = tf.map_fn(
            lambda some: self._conditional_log_prob(self.model.likelihood_parameters(some), x),
            parts,
            fn_output_signature=tf.float32,
            parallel_iterations=1,
        )
        return tf.reshape(found, (samples, IMAGE_BLOCK))

    def _evaluate_block(self, x, samples, seed, image_block):
        features, prior = self.model.features(x), self.model.latent_prior()
        block = min(samples, SAMPLE_BLOCK)
        total = tf.fill([IMAGE_BLOCK], tf.constant(-math.inf, tf.float64))
        for sample_block in tf.range(-(-samples // block)):
            z, log_q = posterior_samples(
                self.model.posterior, features, block, seed, "importance", image_block, sample_block
            )
            log_weights = tf.cast(self._log_likelihoods(z, x, block) + prior.log_prob(z) - log_q, tf.float64)
            wanted = sample_block * block + tf.range(block) < samples
            log_weights = tf.where(wanted[:, tf.newaxis], log_weights, tf.constant(-math.inf, tf.float64))
            total = tf.reduce_logsumexp(tf.concat([total[tf.newaxis], log_weights], axis=0), axis=0)
        return total - math.log(samples)

    def __call__(self, images, samples, seed) -> np.ndarray:
        """N images, K = `samples`, evaluation seed -> float64 [N], in nats."""

        def block(number):
            rows = slice(number * IMAGE_BLOCK, (number + 1) * IMAGE_BLOCK)
            x = intensities(block_of(images.pixels[rows], 0), images.levels)
            return self._block(x, samples, tf.constant(seed), tf.constant(number)).numpy()

        # Two blocks at a time: noise is drawn on one core, and meanwhile the other block uses the rest.
        with ThreadPoolExecutor(BLOCKS_AT_ONCE) as pool:
            blocks = list(pool.map(block, range(blocks_in(len(images)))))
        return np.concatenate(blocks)[: len(images)]
