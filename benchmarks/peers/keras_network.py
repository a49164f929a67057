"""The VAE in Keras layers, for the two peers that are TensorFlow."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks.specification import SCALE_FLOOR, Layer, Spec, initial_weights

Draw = Callable[[tf.Tensor], tf.Tensor]


class KerasVAE(keras.Model):
    """Encoder and decoder from the shared initial weights; `terms` draws and scores.

    Args:
      spec, pixels: see `benchmarks.peers`.
      uniform, normal: a tensor -> fresh numbers of its shape.
    """

    def __init__(self, spec: Spec, pixels: np.ndarray, uniform: Draw, normal: Draw):
        super().__init__()
        self.spec = spec
        self.uniform, self.normal = uniform, normal
        self.encoder, self.decoder = (
            keras.Sequential([part for layer in layers for part in _layers(layer)])
            for layers in (spec.encoder, spec.decoder)
        )
        self.encoder.build((None, *pixels.shape[1:]))
        self.decoder.build((None, spec.latent_size))
        arrays = [array for pair in initial_weights(spec) for array in pair]
        self.encoder.set_weights(arrays[: 2 * len(spec.encoder)])
        self.decoder.set_weights(arrays[2 * len(spec.encoder) :])

    def terms(self, pixels):
        """uint8 pixels [B,H,W,C] -> mean rate and mean distortion of a fresh binarization."""
        grey = tf.cast(pixels, tf.float32) / (self.spec.levels - 1)
        x = tf.cast(self.uniform(grey) < grey, tf.float32)
        loc, raw_scale = tf.split(self.encoder(x), 2, axis=-1)
        scale = SCALE_FLOOR + tf.nn.softplus(raw_scale)
        z = loc + scale * self.normal(loc)
        logits = tf.reshape(self.decoder(z), tf.shape(x))
        rate = 0.5 * tf.reduce_sum(loc**2 + scale**2 - 1 - 2 * tf.math.log(scale), axis=-1)
        distortion = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, logits), axis=[1, 2, 3])
        return tf.reduce_mean(rate), tf.reduce_mean(distortion)


def _layers(layer: Layer):
    activation = "relu" if layer.relu else None
    if layer.kind == "dense":
        return [keras.layers.Flatten(), keras.layers.Dense(layer.outputs[0], activation)]
    kind = {"conv": keras.layers.Conv2D, "transposed": keras.layers.Conv2DTranspose}[layer.kind]
    convolution = kind(layer.outputs[-1], layer.kernel, layer.stride, layer.padding, activation=activation)
    return [keras.layers.Reshape(layer.inputs), convolution]
