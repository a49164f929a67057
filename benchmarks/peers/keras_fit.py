"""Keras's `fit`, with 50 steps an execution; XLA where there is no convolution, for which oneDNN is faster."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peers.keras_network import KerasVAE
from benchmarks.specification import ADAM, Means, Spec


@tf.function(jit_compile=True)
def uniform(like, seed):
    """ThreeFry's numbers, compiled by themselves where the step is not."""
    return tf.random.stateless_uniform(tf.shape(like), seed, alg="threefry")


@tf.function(jit_compile=True)
def normal(like, seed):
    """As `uniform`."""
    return tf.random.stateless_normal(tf.shape(like), seed, alg="threefry")


class FitVAE(KerasVAE):
    """The VAE with what `fit` needs."""

    def __init__(self, spec, pixels):
        # Keras draws by Philox, which is slow inside XLA; XLA alone has ThreeFry.
        seeds = keras.random.SeedGenerator(0)
        super().__init__(
            spec,
            pixels,
            uniform=lambda like: uniform(like, tf.cast(seeds.next(), tf.int32)),
            normal=lambda like: normal(like, tf.cast(seeds.next(), tf.int32)),
        )
        self.seeds = seeds  # else Keras does not know their state
        self.means = [keras.metrics.Mean(name=name) for name in Means._fields]

    @property
    def metrics(self):
        return self.means

    def train_step(self, data):
        with tf.GradientTape() as tape:
            rate, distortion = self.terms(data)
            loss = rate + distortion
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        for mean, value in zip(self.means, (-loss, rate, distortion), strict=True):
            mean.update_state(value)
        return {mean.name: mean.result() for mean in self.means}


def build(spec: Spec, pixels: np.ndarray):
    """See `benchmarks.peers`."""
    keras.utils.set_random_seed(0)
    model = FitVAE(spec, pixels)
    model.compile(keras.optimizers.Adam(**ADAM), steps_per_execution=50, jit_compile=not spec.convolutional())

    def train(epochs):
        history = model.fit(pixels, batch_size=spec.batch_size, epochs=epochs, verbose=0).history
        return Means(*(history[name][-1] for name in Means._fields))

    return train
