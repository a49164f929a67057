"""What the machine can do: float32 matrix products in a compiled TensorFlow loop."""

import time
from typing import NamedTuple


class Shape(NamedTuple):
    """A product [rows, inner] by [inner, columns]."""

    rows: int
    inner: int
    columns: int


BATCH = Shape(100, 784, 300)  # the first layer of the dense MNIST model
LARGE = Shape(1024, 1024, 1024)


def build():
    """Returns a function that measures for about so many seconds: by shape the FLOP a second of the better compiler."""
    loops = {shape: [_loop(shape, jit) for jit in (False, True)] for shape in (BATCH, LARGE)}

    def measure(seconds):
        share = seconds / 4
        return {shape: max(_rate(shape, loop, share) for loop in both) for shape, both in loops.items()}

    return measure


def _loop(shape, jit):
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)
    left = tf.constant(random.normal(size=(shape.rows, shape.inner)).astype(np.float32))
    # Orthonormal columns: x W W' is a projection, which neither grows nor vanishes when it is repeated.
    there = tf.constant(np.linalg.qr(random.normal(size=(shape.inner, shape.columns)))[0].astype(np.float32))
    back = tf.constant(there.numpy().T.copy())

    @tf.function(jit_compile=jit)
    def pairs_of_products(times):
        x, i = left, 0
        while i < times:
            x = tf.matmul(tf.matmul(x, there), back)
            i += 1
        return tf.reduce_sum(x)

    def run(times):
        return float(pairs_of_products(tf.constant(times)))

    run(2)
    return run


def _rate(shape, run, seconds):
    """FLOP a second of a run that lasts about `seconds`, its length found by doubling."""
    times = 1
    while True:
        began = time.perf_counter()
        run(times)
        taken = time.perf_counter() - began
        if taken >= seconds / 2:
            return times * 2 * 2 * shape.rows * shape.inner * shape.columns / taken
        times *= 2
