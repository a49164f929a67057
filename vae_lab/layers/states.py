"""What discrete latents can be."""

import tensorflow as tf


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
