"""The loop of TensorFlow's tutorials: Python over a tf.data pipeline, a function a step, TensorFlow's own draws."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peers.keras_network import KerasVAE
from benchmarks.specification import ADAM, Means, Spec


def build(spec: Spec, pixels: np.ndarray):
    """See `benchmarks.peers`."""
    keras.utils.set_random_seed(0)
    model = KerasVAE(
        spec,
        pixels,
        uniform=lambda like: tf.random.uniform(tf.shape(like)),
        normal=lambda like: tf.random.normal(tf.shape(like)),
    )
    optimizer = keras.optimizers.Adam(**ADAM)
    means = [keras.metrics.Mean(name=name) for name in Means._fields]
    data = tf.data.Dataset.from_tensor_slices(pixels).shuffle(len(pixels)).batch(spec.batch_size)

    @tf.function
    def train_step(batch):
        with tf.GradientTape() as tape:
            rate, distortion = model.terms(batch)
            loss = rate + distortion
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        for mean, value in zip(means, (-loss, rate, distortion), strict=True):
            mean.update_state(value)

    def train(epochs):
        for _ in range(epochs):
            for mean in means:
                mean.reset_state()
            for batch in data:
                train_step(batch)
        return Means(*(float(mean.result()) for mean in means))

    return train
