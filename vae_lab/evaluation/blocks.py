"""An evaluation is cut into blocks, so that its noise is the same for every model and every number of images.

Images are drawn for in blocks of 100 and samples in blocks of 50; a block's draw is a function of (evaluation seed,
purpose, block of images, block of samples). Draws are made outside XLA, whose numbers differ from eager ones.
"""

import tensorflow as tf

from vae_lab.randomness import seed_for

IMAGE_BLOCK = 100
SAMPLE_BLOCK = 50


def blocks_in(images):
    """How many blocks so many images (an int, or a tensor) make, the last one perhaps in part."""
    return -(-images // IMAGE_BLOCK)


def block_of(images, number):
    """A block [100,H,W,C] of images [N,H,W,C], by its number; behind their end the last image again."""
    rows = number * IMAGE_BLOCK + tf.range(IMAGE_BLOCK)
    return tf.gather(images, tf.minimum(rows, tf.shape(images)[0] - 1))


def posterior_samples(posterior, features, samples, seed, purpose, image_block, sample_block):
    """Draws from q(z|x) for the features [100,...] of a block of images.

    Returns:
      z [S,100,latent] and log q(z|x) [S,100], from the distribution that drew z: for a flow, the fast way round.
    """
    q = posterior.distribution(features)
    z = q.sample(samples, seed=seed_for(seed, purpose, image_block, sample_block))
    return z, q.log_prob(z)
