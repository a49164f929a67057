"""A model's compiled functions for pictures, used by every picture, epoch and run of its structure."""

from functools import lru_cache

import numpy as np
import tensorflow as tf

from vae_lab.binarization import intensities

DRAWS = 10  # of z an image
ENCODED, DRAWN = 200, 1000  # images and draws from the prior at once, which bounds the memory


class Views:
    """Encodes and decodes any number of images through functions that are traced once.

    Args:
      model: the VAE.
      image_shape: [H, W, C].
    """

    def __init__(self, model, image_shape):
        self.model = model
        images = tf.TensorSpec([None, *image_shape], tf.float32)
        latents = tf.TensorSpec([None, *model.latent_shape], tf.float32)
        seed = tf.TensorSpec([2], tf.int32)
        self._encode = tf.function(self._encode_images, input_signature=[images, seed])
        self._decode = tf.function(lambda z: model.decode(z).mean(), input_signature=[latents])
        self._decode_draw = tf.function(lambda z, s: model.decode(z).sample(seed=s), input_signature=[latents, seed])
        self._prior = tf.function(
            lambda count, s: model.latent_prior().sample(count, seed=s),
            input_signature=[tf.TensorSpec([], tf.int32), seed],
        )

    def _encode_images(self, x, seed):
        q = self.model.encode(x)
        return q.mean(), q.sample(DRAWS, seed=seed)

    def encode(self, images, seed):
        """N images, stateless seed -> q(z|x): mean [N, *latent], draws [10, N, *latent]."""
        blocks = [
            self._encode(
                intensities(images.pixels[start : start + ENCODED], images.levels), tf.random.fold_in(seed, start)
            )
            for start in range(0, len(images), ENCODED)
        ]
        means, draws = zip(*blocks, strict=True)
        return np.concatenate(means), np.concatenate(draws, axis=1)

    def decode(self, z):
        """z [N, *latent], brought to the latent space -> mean of p(x|z) [N,H,W,C]."""
        return self._decode(self.model.space.nearest(z)).numpy()

    def decode_draw(self, z, seed):
        """z [N, *latent], stateless seed -> one draw from p(x|z) [N,H,W,C]."""
        return self._decode_draw(z, seed).numpy()

    def prior(self, count, seed):
        """Draws from p(z), [count, *latent]; a mixture draws from each component for each of them, hence the blocks."""
        blocks = [
            self._prior(tf.constant(min(DRAWN, count - start)), tf.random.fold_in(seed, start))
            for start in range(0, count, DRAWN)
        ]
        return np.concatenate(blocks)


@lru_cache(maxsize=16)
def views_of(model, image_shape: tuple[int, ...]) -> Views:
    """A model's views."""
    return Views(model, image_shape)
