"""Convolutional encoder."""

import keras

from vae_lab.layers.convolutions import downward


class Conv(keras.Sequential):
    """Pixels less `shift`, convolutions, then one linear dense layer."""

    def __init__(self, output_size, filters, kernels, strides, paddings, activation, initializer, shift):
        convolutions = downward(filters, kernels, strides, paddings, activation, initializer)
        features = keras.layers.Dense(
            output_size, kernel_initializer=keras.initializers.get(initializer), name="features"
        )
        shifted = [keras.layers.Rescaling(1.0, offset=-shift)] if shift else []
        super().__init__([*shifted, *convolutions, keras.layers.Flatten(), features], name="encoder")
