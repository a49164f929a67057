"""Where the rate of a model with several layers of latents lies."""

import numpy as np
import tensorflow as tf

from vae_lab.binarization import intensities
from vae_lab.evaluation.blocks import IMAGE_BLOCK, block_of, blocks_in, posterior_samples
from vae_lab.evaluation.latent import active_units


def layer_rates(model, images, samples, seed) -> np.ndarray:
    """E_q log q(z_l | the layer drawn before) - log p(z_l | the one above) of each image and layer, in nats.

    By the draws of the ELBO's evaluation, so that the layers' rates sum to its rate.

    Args:
      model: the VAE, whose posterior and prior are both `GaussianLayers`.
      images: N of them.
      samples: draws of z an image.
      seed: the evaluation's seed.

    Returns:
      float64 [N, layers], z_1 first.
    """

    @tf.function
    def rates(x, number):
        features = model.features(x)
        z, _ = posterior_samples(model.posterior, features, samples, seed, "elbo", number, 0)
        q, p = model.posterior.distribution(features), model.latent_prior()
        by_layer = [
            tf.reduce_mean(of_q - of_p, axis=0)
            for of_q, of_p in zip(q.layer_log_probs(z), p.layer_log_probs(z), strict=True)
        ]
        return tf.stack(by_layer, axis=-1)

    found = []
    for number in range(blocks_in(len(images))):
        rows = slice(number * IMAGE_BLOCK, (number + 1) * IMAGE_BLOCK)
        x = intensities(block_of(images.pixels[rows], 0), images.levels)
        found.append(rates(x, tf.constant(number)).numpy())
    return np.concatenate(found)[: len(images)].astype(np.float64)


def layer_metrics(model, split, images, settings, posterior_mean) -> dict[str, float]:
    """split/rate_l and split/active_units_l of each layer, z_1 first; none of a model with one layer.

    The rates are told where the prior has layers too, and sum to split/rate.

    Args:
      model: the VAE.
      split: for the names.
      images: the split's.
      settings: the configuration's `evaluation`.
      posterior_mean: of each image [N, latents].
    """
    sizes = getattr(model.space, "sizes", ())
    metrics: dict[str, float] = {}
    for layer, of_layer in enumerate(np.split(posterior_mean, np.cumsum(sizes)[:-1], axis=1) if sizes else (), start=1):
        metrics[f"{split}/active_units_{layer}"] = active_units(of_layer)
    if sizes and hasattr(model.latent_prior(), "layer_log_probs"):
        rates = layer_rates(model, images, settings.samples, settings.seed).mean(axis=0)
        metrics |= {f"{split}/rate_{layer}": float(rate) for layer, rate in enumerate(rates, start=1)}
    return metrics
