"""Convolutional decoder."""

import math

import keras

from vae_lab.layers.convolutions import upward


class Conv(keras.Sequential):
    """A dense layer reshaped to `base`, then transposed or plain convolutions; the last one is linear.

    All but the last layer are followed by the activation. `output_bias` has one entry a channel, as
    the last layer has.
    """

    bias_per_pixel = False

    def __init__(
        self,
        latent_shape,
        output_shape,
        output_bias,
        base,
        filters,
        kernels,
        strides,
        paddings,
        kinds,
        activation,
        initializer,
        output_initializer,
    ):
        stack = (filters, kernels, strides, paddings, kinds, activation, initializer, output_initializer)
        convolutions = upward(output_shape, output_bias, *stack)
        dense = keras.layers.Dense(
            math.prod(base), activation=activation, kernel_initializer=keras.initializers.get(initializer), name="base"
        )
        super().__init__([keras.layers.Flatten(), dense, keras.layers.Reshape(base), *convolutions], name="decoder")
