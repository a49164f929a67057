"""Convolutional decoder."""

import math

import keras
import numpy as np


class Conv(keras.Sequential):
    """A dense layer reshaped to `base`, then transposed convolutions; the last one is linear.

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
        activation,
        initializer,
        output_initializer,
    ):
        last = len(filters)
        bias = "zeros"
        if output_bias is not None:
            bias = keras.initializers.Constant(np.asarray(output_bias).reshape(-1))
        layers = [
            keras.layers.Conv2DTranspose(
                count,
                kernel,
                stride,
                padding,
                activation=None if index == last else activation,
                kernel_initializer=keras.initializers.get(output_initializer if index == last else initializer),
                bias_initializer=bias if index == last else "zeros",
            )
            for index, (count, kernel, stride, padding) in enumerate(
                zip([*filters, output_shape[-1]], kernels, strides, paddings, strict=True)
            )
        ]
        dense = keras.layers.Dense(
            math.prod(base), activation=activation, kernel_initializer=keras.initializers.get(initializer)
        )
        super().__init__([keras.layers.Flatten(), dense, keras.layers.Reshape(base), *layers], name="decoder")
