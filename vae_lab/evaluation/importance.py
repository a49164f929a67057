"""log p(x) of each image by importance sampling, and what its weights say of it."""

import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from vae_lab.binarization import intensities
from vae_lab.evaluation.blocks import IMAGE_BLOCK, SAMPLE_BLOCK, block_of, blocks_in, posterior_samples
from vae_lab.evaluation.pareto import pareto_k, tail_size

log = logging.getLogger("vae_lab")

BLOCKS_AT_ONCE = 2
SECONDS_BETWEEN_LINES = 5.0  # of how far it has come
# So many samples of a block of images are decoded at a time: their pixels stay in the cores' caches.
SAMPLES_AT_ONCE = 10


class LogLikelihoodEvaluator:
    """Estimates log p(x) by log (1/K) sum_k p(x|z_k) p(z_k) / q(z_k|x), z_k from the posterior.

    A lower bound in expectation that rises to log p(x) with K (Burda, Grosse, Salakhutdinov 2016). Samples come in
    blocks, sums are kept as running log-sum-exps in float64, and of the weights only the largest, at most
    3 sqrt(K) + 1 an image.

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
        nothing = tf.fill([IMAGE_BLOCK], tf.constant(-math.inf, tf.float64))
        half, tail = samples // 2, tail_size(samples) + 1
        total, squares, first, second = nothing, nothing, nothing, nothing
        largest = tf.fill([IMAGE_BLOCK, tail], tf.constant(-math.inf, tf.float64))
        for sample_block in tf.range(-(-samples // block)):
            z, log_q = posterior_samples(
                self.model.posterior, features, block, seed, "importance", image_block, sample_block
            )
            log_weights = tf.cast(self._log_likelihoods(z, x, block) + prior.log_prob(z) - log_q, tf.float64)
            number = sample_block * block + tf.range(block)
            log_weights = kept(log_weights, number < samples)
            total = added(total, log_weights)
            squares = added(squares, 2 * log_weights)
            first = added(first, kept(log_weights, number < half))
            second = added(second, kept(log_weights, (number >= half) & (number < 2 * half)))
            all_there = tf.concat([largest, tf.transpose(log_weights)], axis=1)
            largest = tf.math.top_k(all_there, tail, sorted=False).values
        rise = total - math.log(samples) - ((first + second) / 2 - math.log(half) if half else math.nan)
        return total - math.log(samples), tf.exp(2 * total - squares), rise, largest

    def diagnosed(self, images, samples, seed) -> dict[str, np.ndarray]:
        """Estimates log p(x), with diagnostics of its weights w_k.

        Args:
          images: N of them.
          samples: K.
          seed: the evaluation's seed.

        Returns:
          float64 [N] by quantity: "log_likelihood" L_K in nats; "ess", (sum w)^2 / sum w^2, between 1 and K; "pareto_k"
          of their tail, NaN where there is none; "log_likelihood_rise", L_K - L_{K/2} by the same weights, both halves
          averaged, in nats, NaN for K = 1: about what L_K still lacks where its gap falls as 1/K.
        """

        def block(number):
            rows = slice(number * IMAGE_BLOCK, (number + 1) * IMAGE_BLOCK)
            x = intensities(block_of(images.pixels[rows], 0), images.levels)
            found = self._block(x, samples, tf.constant(seed), tf.constant(number))
            *found, largest = (part.numpy() for part in found)
            return *found, pareto_k(largest, samples)

        # Two blocks at a time: noise is drawn on one core, and meanwhile the other block uses the rest.
        with ThreadPoolExecutor(BLOCKS_AT_ONCE) as pool:
            blocks = told_of(pool.map(block, range(blocks_in(len(images)))), len(images), samples)
        names = ("log_likelihood", "ess", "log_likelihood_rise", "pareto_k")
        parts = (np.concatenate(part)[: len(images)] for part in zip(*blocks, strict=True))
        return dict(zip(names, parts, strict=True))

    def __call__(self, images, samples, seed) -> np.ndarray:
        """N images, K = `samples`, evaluation seed -> float64 [N], in nats."""
        return self.diagnosed(images, samples, seed)["log_likelihood"]


def told_of(blocks, images, samples) -> list:
    """Blocks as they are done, and now and then a line that says of how many images they are, and what is left."""
    done, began = [], time.monotonic()
    told = began
    for block in blocks:
        done.append(block)
        now, number = time.monotonic(), len(done) * IMAGE_BLOCK
        if number < images and now - told >= SECONDS_BETWEEN_LINES:
            told, left = now, (now - began) * (images - number) / number
            log.info("log-likelihood by %s samples: %s of %s images, %.0f s left", f"{samples:,}", number, images, left)
    return done


def kept(log_weights, wanted):
    """log weights [S,100] of the samples that are wanted, bool [S]; of the others the weight is 0."""
    return tf.where(wanted[:, tf.newaxis], log_weights, tf.constant(-math.inf, tf.float64))


def added(total, log_weights):
    """The log of a running sum of weights [100], with some more [S,100] in it."""
    return tf.reduce_logsumexp(tf.concat([total[tf.newaxis], log_weights], axis=0), axis=0)
