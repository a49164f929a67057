"""A diagonal Gaussian whose parameters a dense network makes of another latent."""

import keras
import tensorflow as tf

from vae_lab.numerics import positive


class ConditionalGaussian(keras.layers.Layer):
    """Latents [..., `inputs`] -> loc and scale, both [..., `size`], by dense layers of `hidden` units."""

    def __init__(self, inputs, size, hidden, activation, scale_activation, scale_floor, name):
        super().__init__(name=name)
        self.layers = [keras.layers.Dense(units, activation, name=f"hidden_{n}") for n, units in enumerate(hidden)]
        self.layers.append(keras.layers.Dense(2 * size, name="parameters"))
        for layer, width in zip(self.layers, (inputs, *hidden), strict=True):
            layer.build((None, width))
        self.scale_activation, self.scale_floor = scale_activation, scale_floor

    def given(self, z, stop_gradient=False):
        """loc and scale at z; with `stop_gradient` the weights are constants to differentiation, and z is not."""
        for layer in self.layers:
            if stop_gradient:
                weights = [tf.stop_gradient(weight.value) for weight in layer.trainable_variables]
                z, _ = layer.stateless_call(weights, [], z)
            else:
                z = layer(z)
        loc, raw_scale = tf.split(z, 2, axis=-1)
        return loc, positive(raw_scale, self.scale_floor, self.scale_activation)
