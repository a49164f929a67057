"""Linear encoder."""

import keras

from vae_lab.protocols import Encoder


class Linear(keras.Sequential, Encoder):
    """One dense layer over the flattened image."""

    def __init__(self, output_size, initializer):
        features = keras.layers.Dense(
            output_size, kernel_initializer=keras.initializers.get(initializer), name="features"
        )
        super().__init__([keras.layers.Flatten(), features], name="encoder")
