"""Convolutional encoder."""

import keras

from vae_lab.layers.convolutions import Stack
from vae_lab.protocols import Encoder


class Conv(keras.Sequential, Encoder):
    """Pixels less `shift`, convolutions, then dense layers; the last one is linear.

    `stack`: the settings of a `Stack`.
    """

    def __init__(self, output_size, hidden, shift, **stack):
        convolutions = Stack(**stack)

        def dense(units, **options):
            initializer = keras.initializers.get(convolutions.initializer)
            return keras.layers.Dense(units, kernel_initializer=initializer, **options)

        activation = convolutions.activation
        super().__init__(
            [
                *([keras.layers.Rescaling(1.0, offset=-shift)] if shift else []),
                *convolutions.layers(),
                keras.layers.Flatten(),
                *(dense(units, activation=activation, name=f"hidden_{i}") for i, units in enumerate(hidden)),
                dense(output_size, name="features"),
            ],
            name="encoder",
        )
