"""The spaces that latents lie in, as far as those need it who make latents that no distribution drew.

A posterior over another space than R^L says so by its attribute `space`.
"""

from typing import Any

import numpy as np
import tensorflow as tf


class Reals:
    """R^L, measured by N(0, I)."""

    states: Any = None  # of discrete latents, what those that belong together can be, [n, w]

    def nearest(self, z):
        """z [..., latent] -> the latent nearest to it."""
        return z

    def decoded(self, z):
        """z [..., latent] -> what of it the decoder sees."""
        return z

    def between(self, start, end, share):
        """Latents [..., latent] -> the one that is `share` of the way from start to end along the shortest path."""
        return (1 - share) * start + share * end

    def moved(self, z, index, value):
        """z [..., L] with the latent of that flat index brought to `value`, and the others as near as can be."""
        return tf.concat(
            [z[..., :index], tf.fill(z[..., :1].shape, tf.cast(value, z.dtype)), z[..., index + 1 :]], axis=-1
        )

    def variance(self, size: int) -> float:
        """What each of `size` latents would vary by if they were drawn from the measure of the space."""
        return 1.0


class Layers(Reals):
    """R^L as layers z_1, z_2, ... one after the other, of which the decoder sees the first.

    Args:
      sizes: how many latents each layer has.
    """

    def __init__(self, sizes):
        self.sizes = tuple(sizes)

    def decoded(self, z):
        return z[..., : self.sizes[0]]


class Sphere(Reals):
    """The unit vectors of R^L, L at least 2, measured by the uniform distribution."""

    def nearest(self, z):
        return tf.math.l2_normalize(z, axis=-1)

    def between(self, start, end, share):
        """Along the great circle, at constant speed. Opposite points have no shortest path: a point is found."""
        start, end = self.nearest(start), self.nearest(end)
        # By chords: the arc cosine of an inner product loses small angles.
        half = tf.atan2(tf.norm(end - start, axis=-1, keepdims=True), tf.norm(end + start, axis=-1, keepdims=True))
        weights = tf.sin(2 * (1 - share) * half), tf.sin(2 * share * half)
        near = half < 1e-4  # there the straight line is as good
        first, last = (tf.where(near, linear, w) for linear, w in zip((1 - share, share), weights, strict=True))
        return self.nearest(first * start + last * end)

    def moved(self, z, index, value):
        """The others keep their direction, and their length becomes what is left; beyond 1 the pole is meant."""
        value = min(1.0, max(-1.0, float(value)))
        others = super().moved(z, index, 0.0)
        return super().moved((1 - value**2) ** 0.5 * self.nearest(others), index, value)

    def variance(self, size: int) -> float:
        return 1.0 / size


class Discrete(Reals):
    """Latents of which each w that belong together are in one of n states.

    Means of such latents are probabilities, at which a decoder was never trained: the nearest latent is the mode.

    Args:
      states: [n, w]: [[0], [1]] of bits, the rows of the identity of one-hot groups.
    """

    def __init__(self, states):
        self.states = np.asarray(states, np.float32)

    def nearest(self, z):
        return nearest_state(tf.cast(z, tf.float32), self.states)

    def between(self, start, end, share):
        return self.nearest(super().between(start, end, share))


def nearest_state(z, states):
    """The discrete latent nearest to any z; of probabilities the most probable one.

    Args:
      z: [..., L], each w entries of which belong together.
      states: [n, w], what they can be.

    Returns:
      [..., L]. It passes no gradient.
    """
    groups = tf.reshape(z, (-1, states.shape[1]))
    distance = tf.reduce_sum(states**2, axis=1) - 2 * tf.matmul(groups, states, transpose_b=True)  # and |z|^2
    return tf.reshape(tf.gather(states, tf.argmin(distance, axis=1)), tf.shape(z))
