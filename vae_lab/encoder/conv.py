"""Convolutional encoder."""

import keras


class Conv(keras.Sequential):
    """Convolutions, then one linear dense layer."""

    def __init__(self, output_size, filters, kernels, strides, paddings, activation, initializer):
        convolutions = [
            keras.layers.Conv2D(
                count,
                kernel,
                stride,
                padding,
                activation=activation,
                kernel_initializer=keras.initializers.get(initializer),
            )
            for count, kernel, stride, padding in zip(filters, kernels, strides, paddings, strict=True)
        ]
        features = keras.layers.Dense(
            output_size, kernel_initializer=keras.initializers.get(initializer), name="features"
        )
        super().__init__([*convolutions, keras.layers.Flatten(), features], name="encoder")
