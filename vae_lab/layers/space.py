"""The spaces that latents lie in, as far as those need it who make latents that no distribution drew.

A posterior over another space than R^L says so by its attribute `space`.
"""

import tensorflow as tf


class Reals:
    """R^L, measured by N(0, I)."""

    def nearest(self, z):
        """z [..., latent] -> the latent nearest to it."""
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
