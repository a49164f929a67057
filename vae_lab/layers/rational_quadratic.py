"""Rational quadratic splines: increasing maps of the line with an inverse in closed form."""

from typing import NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.numerics import inverse_softplus, positive

BIN_FLOOR = 0.1  # the least width or height of a bin, as a part of what it has when all are equal
SLOPE_FLOOR = 1e-3


class Bin(NamedTuple):
    """The bin that each value falls into. Entries have the values' shape."""

    x: tf.Tensor  # the knot below
    width: tf.Tensor
    y: tf.Tensor  # the spline at the knot below
    height: tf.Tensor
    low: tf.Tensor  # the slope at the knot below, and at the one above
    high: tf.Tensor

    def value_and_slope(self, x):
        """The spline at x, and its derivative there (Durkan et al. 2019, eq. 4 and 5)."""
        steep, part = self.height / self.width, (x - self.x) / self.width
        between = part * (1.0 - part)
        below = steep + (self.low + self.high - 2.0 * steep) * between
        value = self.y + self.height * (steep * part**2 + self.low * between) / below
        above = self.high * part**2 + 2.0 * steep * between + self.low * (1.0 - part) ** 2
        return value, (steep / below) ** 2 * above

    def root(self, y):
        """The x in the bin whose value is y, up to float32's cancellation (Durkan et al. 2019, eq. 6 to 8)."""
        steep, rise = self.height / self.width, y - self.y
        bend = rise * (self.low + self.high - 2.0 * steep)
        a = self.height * (steep - self.low) + bend
        b = self.height * self.low - bend
        c = -steep * rise
        part = 2.0 * c / (-b - tf.sqrt(tf.maximum(b**2 - 4.0 * a * c, 0.0)))
        return self.x + self.width * tf.clip_by_value(part, 0.0, 1.0)


class RationalQuadratic(tfp.bijectors.Bijector):
    """Maps [-bound, bound] onto itself, entry by entry, and leaves what is outside alone.

    Unlike TFP's RationalQuadraticSpline its inverse has a gradient at the knots too (theirs is 0 there), far values
    give no NaN, and it picks bins by products, which are faster than gathers.

    Args:
      raw: unconstrained [..., 3 * bins - 1]: the bins' widths, their heights, the slopes at the inner knots. Zeros give
        the identity. The leading axes broadcast with the values'.
      bound: where the spline ends; its slope there is 1.

    References: Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows", 2019, section 3.1.
    """

    def __init__(self, raw, bound):
        # Without `parameters` no two bijectors are equal, so that none takes another's cached values.
        super().__init__(forward_min_event_ndims=0, is_constant_jacobian=False, name="rational_quadratic")
        self._bound = bound
        bins = (raw.shape[-1] + 1) // 3
        widths, heights, slopes = tf.split(raw, [bins, bins, bins - 1], axis=-1)
        end = tf.ones_like(raw[..., :1])
        slopes = positive(slopes + inverse_softplus(1.0 - SLOPE_FLOOR), SLOPE_FLOOR)
        self._x, self._y = self._places(widths), self._places(heights)
        self._slopes = tf.concat([end, slopes, end], axis=-1)

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def _places(self, raw):
        """raw [..., bins] -> [..., bins + 1], the first and the last exactly at the bounds."""
        shares = tf.nn.softmax(tf.reshape(raw, (-1, raw.shape[-1])))  # its kernel takes five axes at most
        parts = BIN_FLOOR / raw.shape[-1] + (1.0 - BIN_FLOOR) * tf.ensure_shape(
            tf.reshape(shares, tf.shape(raw)), raw.shape
        )
        inner = self._bound * (2.0 * tf.cumsum(parts[..., :-1], axis=-1) - 1.0)
        end = tf.fill(tf.shape(raw[..., :1]), tf.constant(self._bound, raw.dtype))
        return tf.concat([-end, inner, end], axis=-1)

    def _bin(self, values, places):
        """The bins of values inside the bounds, by the places of the knots on their side."""
        above = tf.cast(values[..., tf.newaxis] >= places[..., 1:-1], values.dtype)
        end = tf.ones_like(above[..., :1])
        chosen = tf.concat([end, above], axis=-1) - tf.concat([above, 0.0 * end], axis=-1)  # 1 at one bin, else 0
        of_knots = (self._x, self._y, self._slopes)
        x, y, low = (tf.reduce_sum(chosen * knots[..., :-1], axis=-1) for knots in of_knots)
        right, top, high = (tf.reduce_sum(chosen * knots[..., 1:], axis=-1) for knots in of_knots)
        return Bin(x, right - x, y, top - y, low, high)

    def _inside(self, values):
        """Which values are inside the bounds, and the values with 0 in place of the others."""
        inside = tf.abs(values) < self._bound
        return inside, tf.where(inside, values, 0.0)

    def _forward(self, x):
        inside, safe = self._inside(x)
        return tf.where(inside, self._bin(safe, self._x).value_and_slope(safe)[0], x)

    def _forward_log_det_jacobian(self, x):
        inside, safe = self._inside(x)
        return tf.where(inside, tf.math.log(self._bin(safe, self._x).value_and_slope(safe)[1]), 0.0)

    def _inverse(self, y):
        inside, safe = self._inside(y)
        here = self._bin(safe, self._y)
        # A step of Newton's method takes back what the square root cancelled, and carries the derivatives.
        x = tf.stop_gradient(here.root(safe))
        value, slope = here.value_and_slope(x)
        return tf.where(inside, x - (value - safe) / tf.stop_gradient(slope), y)
