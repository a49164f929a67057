"""Dense encoder."""

import keras

from vae_lab.protocols import Encoder


class MLP(keras.Sequential, Encoder):
    """Dense layers over the flattened image; the last one is linear."""

    def __init__(self, output_size, hidden, activation, initializer):
        def dense(units, **options):
            return keras.layers.Dense(units, kernel_initializer=keras.initializers.get(initializer), **options)

        super().__init__(
            [
                keras.layers.Flatten(),
                *(dense(units, activation=activation, name=f"hidden_{i}") for i, units in enumerate(hidden)),
                dense(output_size, name="features"),
            ],
            name="encoder",
        )
