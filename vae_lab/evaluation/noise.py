"""The evaluation's noise: the same for every model and for every way to cut the work.

Images are drawn for in blocks of 100 and samples in blocks of 50; a block's draw is a function of (evaluation seed,
purpose, block of images, block of samples). Draws are made outside XLA, whose numbers differ from eager ones.
"""

import numpy as np
import tensorflow as tf

from vae_lab.randomness import seed_for

IMAGE_BLOCK = 100
SAMPLE_BLOCK = 50


def padded(pixels: np.ndarray, multiple: int) -> np.ndarray:
    """`pixels` with its first row repeated behind it, up to a multiple of rows."""
    missing = -len(pixels) % multiple
    return np.concatenate([pixels, np.repeat(pixels[:1], missing, axis=0)])


def posterior_samples(posterior, features, samples, seed, purpose, first_image_block, sample_block):
    """Draws from q(z|x) for features [B,...] whose rows are whole blocks of images.

    Returns:
      z [S,B,latent] and log q(z|x) [S,B], from the distribution that drew z: for a flow, the fast way round.
    """
    latents, densities = [], []
    for offset, block in enumerate(tf.split(features, features.shape[0] // IMAGE_BLOCK)):
        q = posterior.distribution(block)
        latents.append(q.sample(samples, seed=seed_for(seed, purpose, first_image_block + offset, sample_block)))
        densities.append(q.log_prob(latents[-1]))
    return tf.concat(latents, axis=1), tf.concat(densities, axis=1)
