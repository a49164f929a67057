"""Dense encoder with gates."""

import keras

from vae_lab.layers.gated import GatedDense
from vae_lab.protocols import Encoder


class GatedMLP(keras.Sequential, Encoder):
    """Gated dense layers over the flattened image; the last layer is linear and has no gate."""

    def __init__(self, output_size, hidden, initializer):
        features = keras.layers.Dense(
            output_size, kernel_initializer=keras.initializers.get(initializer), name="features"
        )
        gated = [GatedDense(units, initializer, f"hidden_{i}") for i, units in enumerate(hidden)]
        super().__init__([keras.layers.Flatten(), *gated, features], name="encoder")
