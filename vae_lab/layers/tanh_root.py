"""The inverse of y -> y + product * tanh(y), on which the inverses of planar and Sylvester flows rest."""

import tensorflow as tf

NEWTON_STEPS = 8  # to the last bits of float32 for slopes from 1e-3 to 1e5; a test measures it


def slope_at(tanh, slope):
    """The derivative of y + (slope - 1) tanh(y), by tanh(y): without the cancellation of 1 + (slope - 1) / cosh^2."""
    return tanh**2 + slope * (1.0 - tanh**2)


def tanh_root(target, slope):
    """Solves y + (slope - 1) tanh(y) = target, entry by entry.

    The function increases, is odd, and bends one way on each side of 0: from a start between 0 and the root where it
    bends down (slope > 1), or beyond the root where it bends up, Newton's method never crosses the root.

    Args:
      target: any shape.
      slope: the derivative at 0, above 0; broadcasts with `target`.

    Returns:
      y. Its derivatives by `target` and `slope`, the first alone, are exact: the last step carries them.
    """
    size, steep = tf.abs(tf.stop_gradient(target)), tf.stop_gradient(slope)
    one, other = size / steep, size + 1.0 - steep
    y = tf.where(steep > 1.0, tf.maximum(one, other), tf.minimum(one, other))
    for _ in range(NEWTON_STEPS):
        tanh = tf.tanh(y)
        y -= (y + (steep - 1.0) * tanh - size) / slope_at(tanh, steep)
    y = tf.stop_gradient(tf.sign(target) * y)
    tanh = tf.tanh(y)
    return y - (y + (slope - 1.0) * tanh - target) / slope_at(tanh, steep)
