"""Convolutional encoder."""

import keras

from vae_lab.layers.convolutions import downward


class Conv(keras.Sequential):
    """Pixels less `shift`, convolutions, then dense layers; the last one is linear."""

    def __init__(self, output_size, filters, kernels, strides, paddings, activation, initializer, hidden, shift):
        def dense(units, **options):
            return keras.layers.Dense(units, kernel_initializer=keras.initializers.get(initializer), **options)

        super().__init__(
            [
                *([keras.layers.Rescaling(1.0, offset=-shift)] if shift else []),
                *downward(filters, kernels, strides, paddings, activation, initializer),
                keras.layers.Flatten(),
                *(dense(units, activation=activation, name=f"hidden_{i}") for i, units in enumerate(hidden)),
                dense(output_size, name="features"),
            ],
            name="encoder",
        )
