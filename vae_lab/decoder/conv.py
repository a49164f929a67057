"""Convolutional decoder."""

import math

import keras

from vae_lab.layers.convolutions import Stack, upward
from vae_lab.protocols import Decoder


class Conv(keras.Sequential, Decoder):
    """A dense layer reshaped to `base`, then transposed or plain convolutions; the last one is linear.

    All but the last layer are followed by the activation. `output_bias` has one entry a channel, as
    the last layer has. `stack`: the settings of a `Stack`.
    """

    bias_per_pixel = False

    def __init__(self, latent_shape, output_shape, output_bias, base, **stack):
        convolutions = Stack(**stack)
        dense = keras.layers.Dense(
            math.prod(base),
            activation=convolutions.activation,
            kernel_initializer=keras.initializers.get(convolutions.initializer),
            name="base",
        )
        layers = [keras.layers.Flatten(), dense, keras.layers.Reshape(base)]
        super().__init__([*layers, *upward(convolutions, output_shape, output_bias)], name="decoder")
