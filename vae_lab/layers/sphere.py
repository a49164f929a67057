"""Distributions over the unit vectors of R^m that depend on the angle to a mean direction alone.

Densities are with respect to the surface measure.
"""

import math

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

TINY = 1e-6


def log_area(size: int) -> float:
    """log of the area of the sphere in R^size."""
    return math.log(2) + size / 2 * math.log(math.pi) - math.lgamma(size / 2)


def direction_of(vectors):
    """Vectors [..., m] -> unit vectors; of one that is 0 the first axis."""
    first_axis = tf.one_hot(0, vectors.shape[-1], dtype=vectors.dtype)
    return tf.math.l2_normalize(tf.where(is_none(vectors), first_axis, vectors), axis=-1)


def is_none(vectors):
    """Vectors [..., m] -> [..., 1]: whether one is too short to have a direction."""
    return tf.reduce_max(tf.abs(vectors), axis=-1, keepdims=True) < TINY


def from_pole(polar, mean_direction):
    """Turns polar [..., m], told from the first axis, such that this axis becomes the mean direction [..., m].

    A Householder reflection and the change of a sign: of the two reflections that do, the one whose mirror stays away
    from the mean direction, so that the derivative is bounded everywhere. (At the equator one takes over from the
    other: the draws jump there, and their distribution does not.)
    """
    first = mean_direction[..., :1]
    sign = tf.where(first < 0, -tf.ones_like(first), tf.ones_like(first))
    mirror = tf.concat([first + sign, mean_direction[..., 1:]], axis=-1)
    inner = tf.reduce_sum(mirror * polar, axis=-1, keepdims=True)
    return sign * (mirror * inner / (1 + tf.abs(first)) - polar)


class UniformDirection(tfp.distributions.SphericalUniform):
    """TFP's uniform distribution, with a normalizer that is float64 and a gradient that is 0 rather than none."""

    def _log_prob(self, z):
        return tf.zeros_like(z[..., 0]) - log_area(self.dimension) + 0 * z[..., 0]


class Directional(tfp.distributions.Distribution):
    """q(z) = exp(tilt) / E exp(tilt) times the uniform density; the tilt is 0 at the mean direction and falls from it.

    The tilt is told by the squared chord |z - mu|^2, which float32 holds where the cosine is all but 1, and what
    belongs to the concentration alone is float64: with k = 10^4 both would otherwise be wrong by 10^-3 nats.

    Args:
      mean_direction: unit vectors [..., m].
      concentration: k at least 0, [...].
    """

    def __init__(self, mean_direction, concentration, name="directional"):
        parameters = dict(locals())
        self.mean_direction, self.concentration = mean_direction, concentration
        super().__init__(
            dtype=mean_direction.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        properties = tfp.util.ParameterProperties
        return {"mean_direction": properties(event_ndims=1), "concentration": properties()}

    def _tilt(self, chord):
        """Squared chords |z - mu|^2 [..., batch] -> the tilt."""
        raise NotImplementedError

    def _log_mean_and_mean_tilt(self):
        """log E_u exp(tilt), u uniform, and E_q tilt; float64 [batch]."""
        raise NotImplementedError

    def _mean_cosine(self):
        """E_q mu'z [batch]."""
        raise NotImplementedError

    def _polar(self, n, seed):
        """n draws [n, batch, m] for a mean direction along the first axis."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """m."""
        return self.mean_direction.shape[-1]

    def _event_shape(self):
        return self.mean_direction.shape[-1:]

    def _event_shape_tensor(self):
        return tf.constant([self.size])

    def _log_prob(self, z):
        chord = tf.reduce_sum(tf.math.squared_difference(z, self.mean_direction), axis=-1)
        log_mean, _ = self._log_mean_and_mean_tilt()
        return self._tilt(chord) - tf.cast(log_mean + log_area(self.size), self.dtype)

    def kl_to_uniform(self):
        """KL(q, uniform), [batch]."""
        log_mean, mean = self._log_mean_and_mean_tilt()
        return tf.cast(mean - log_mean, self.dtype)

    def _entropy(self):
        return log_area(self.size) - self.kl_to_uniform()

    def _mean(self):
        return tf.cast(self._mean_cosine(), self.dtype)[..., tf.newaxis] * self.mean_direction

    def _mode(self):
        return self.mean_direction

    def _sample_n(self, n, seed=None):
        return from_pole(self._polar(n, seed), self.mean_direction)


@tfd.RegisterKL(Directional, tfd.SphericalUniform)
def _kl_to_uniform(q, p, name=None):
    return q.kl_to_uniform()
