"""Every random draw of a run, as a pure function of (seed, purpose, position).

There is no generator whose state would have to be saved: a run that is killed and resumed draws what it would have
drawn. A purpose is a word; its number is the word's CRC-32, so that new purposes never shift old ones.
"""

import zlib

import tensorflow as tf


def seed_for(seed, purpose: str, *positions) -> tf.Tensor:
    """Returns the stateless seed, int32 [2], of one draw.

    Args:
      seed: the run's (or the evaluation's) seed, an int or a scalar int32 tensor.
      purpose: what is drawn, for example "posterior" or "shuffle".
      *positions: ints or scalar int tensors that tell the draws of one purpose apart, such as the step.
    """
    state = tf.stack([tf.cast(seed, tf.int32), tf.constant(zlib.crc32(purpose.encode()) & 0x7FFFFFFF, tf.int32)])
    for position in positions:
        state = tf.random.fold_in(state, tf.cast(position, tf.int32))
    return state


@tf.function(jit_compile=True)
def uniform_like(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws uniform float32 numbers on [0, 1) of the shape of `x`, fast enough for every step of training.

    ThreeFry in XLA takes a tenth of Philox's time on a CPU (Salmon et al. 2011). It exists in XLA alone, so the draw is
    compiled by itself where the caller is not. Only TensorFlow's debugging mode, which compiles nothing, draws other
    numbers.
    """
    algorithm = "auto_select" if tf.config.functions_run_eagerly() else "threefry"
    return tf.random.stateless_uniform(tf.shape(x), seed, alg=algorithm)


def uniform_below(levels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws a coin for each entry of `levels`, its probability of heads in [0, 1]; float32 zeros and ones."""
    return tf.cast(tf.random.stateless_uniform(tf.shape(levels), seed) < levels, tf.float32)
