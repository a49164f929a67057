"""The evaluation's noise: the same for every model and for every way to cut the work.

Images are drawn for in blocks of 100 and samples in blocks of 50; a block's draw is a function of (evaluation seed,
purpose, block of images, block of samples). Draws are made outside XLA, whose numbers differ from eager ones.
"""

import numpy as np

from vae_lab.randomness import seed_for

IMAGE_BLOCK = 100
SAMPLE_BLOCK = 50


def padded(pixels: np.ndarray) -> np.ndarray:
    """`pixels` with its first row repeated behind it, up to whole blocks."""
    missing = -len(pixels) % IMAGE_BLOCK
    return np.concatenate([pixels, np.repeat(pixels[:1], missing, axis=0)])


def posterior_samples(posterior, features, samples, seed, purpose, image_block, sample_block):
    """Draws from q(z|x) for the features [100,...] of a block of images.

    Returns:
      z [S,100,latent] and log q(z|x) [S,100], from the distribution that drew z: for a flow, the fast way round.
    """
    q = posterior.distribution(features)
    z = q.sample(samples, seed=seed_for(seed, purpose, image_block, sample_block))
    return z, q.log_prob(z)
