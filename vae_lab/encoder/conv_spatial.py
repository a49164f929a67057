"""Convolutional encoder that keeps the grid."""

import keras

from vae_lab.layers.convolutions import downward


class ConvSpatial(keras.Sequential):
    """Convolutions, then a linear 1x1 convolution to features [B,h,w,output_size]; no dense layer."""

    def __init__(self, output_size, filters, kernels, strides, paddings, activation, initializer):
        convolutions = downward(filters, kernels, strides, paddings, activation, initializer)
        features = keras.layers.Conv2D(
            output_size, 1, kernel_initializer=keras.initializers.get(initializer), name="features"
        )
        super().__init__([*convolutions, features], name="encoder")
