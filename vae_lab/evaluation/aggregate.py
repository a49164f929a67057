"""The aggregate posterior q(z) = (1/N) sum_n q(z|x_n) of N images, and what it splits the rate into."""

from functools import lru_cache

import numpy as np
import tensorflow as tf

from vae_lab.binarization import intensities
from vae_lab.evaluation.latent import marginal_kl
from vae_lab.layers.gaussian_mixture import gaussian_mixture
from vae_lab.randomness import seed_for

ENCODED = 100  # images at once through the encoder
PAIRS = 50_000  # of a draw and an image whose q(z|x) are evaluated at once: this bounds the memory


def spread_rows(rows: int, count: int) -> np.ndarray:
    """Indices of `count` rows (or all) evenly over a split of that many, since some files are grouped by class."""
    return np.linspace(0, rows - 1, min(rows, count)).round().astype(int)


class AggregateEvaluator:
    """Estimates I(n; z) = E log q(z|x_n) - log q(z), n uniform over N images and z one draw from q(z|x_n).

    This is the index-code mutual information of Hoffman, Johnson, "ELBO surgery", 2016. All N posteriors enter log q(z)
    and no minibatch stands for them, so it is unbiased for these N images. As an estimate for the distribution that
    the images come from it is too low, since it cannot exceed log N; KL(q(z), p(z)) = rate - I is too high by as much.
    """

    def __init__(self, model, image_shape):
        self.model = model
        images, features, latents = (
            tf.TensorSpec([None, *shape], tf.float32)
            for shape in (image_shape, model.encoder.output_shape[1:], model.latent_shape)
        )
        seed = tf.TensorSpec([2], tf.int32)
        self._features = tf.function(model.features, input_signature=[images])
        self._draw = tf.function(self._draw_latents, input_signature=[features, seed])
        self._log_mixture = tf.function(self._log_mixture_density, input_signature=[latents, features])

    def _draw_latents(self, features, seed):
        q = self.model.posterior.distribution(features)
        z = q.sample(seed=seed)
        return z, q.log_prob(z), marginal_kl(q, self.model.latent_prior(), z)

    def _log_mixture_density(self, z, features):
        q = self.model.posterior.distribution(features)
        return gaussian_mixture(tf.zeros(tf.shape(features)[0]), q).log_prob(z)

    def features(self, images):
        """N images -> features [N,...]."""
        blocks = [
            self._features(intensities(images.pixels[start : start + ENCODED], images.levels))
            for start in range(0, len(images), ENCODED)
        ]
        return tf.concat(blocks, axis=0)

    def __call__(self, images, seed, mutual_information) -> dict[str, np.ndarray]:
        """Evaluates N images.

        Args:
          images: N of them.
          seed: the evaluation's seed.
          mutual_information: whether to estimate it: N * N densities, which the posterior must give fast.

        Returns:
          "mutual_information" float64 [N], in nats, where wanted; and "marginal_kl" [latents] where it is known.
        """
        features = self.features(images)
        z, log_q, kl = self._draw(features, seed_for(seed, "aggregate"))
        results = {}
        if mutual_information:
            step = max(1, PAIRS // len(images))
            parts = [self._log_mixture(z[start : start + step], features) for start in range(0, len(images), step)]
            results["mutual_information"] = log_q.numpy().astype(np.float64) - np.concatenate(parts)
        if kl is not None:
            results["marginal_kl"] = kl.numpy()
        return results


@lru_cache(maxsize=16)
def aggregate_evaluator(model, image_shape: tuple[int, ...]) -> AggregateEvaluator:
    """A model's evaluator, with its compiled functions."""
    return AggregateEvaluator(model, image_shape)
