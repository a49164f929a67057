"""Convolutional encoder that keeps the grid."""

import keras

from vae_lab.layers.convolutions import downward


class ConvSpatial(keras.Sequential):
    """Convolutions, the last one linear and to features [B,h,w,output_size]; no dense layer.

    `filters` has an entry less than the others: the last layer's are `output_size`.
    """

    def __init__(self, output_size, filters, kernels, strides, paddings, activation, initializer):
        convolutions = downward(filters, kernels[:-1], strides[:-1], paddings[:-1], activation, initializer)
        features = keras.layers.Conv2D(
            output_size,
            kernels[-1],
            strides[-1],
            paddings[-1],
            kernel_initializer=keras.initializers.get(initializer),
            name="features",
        )
        super().__init__([*convolutions, features], name="encoder")
