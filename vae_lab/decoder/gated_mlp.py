"""Dense decoder with gates."""

import math

import keras

from vae_lab.layers.gated import GatedDense
from vae_lab.layers.output_bias import per_pixel
from vae_lab.protocols import Decoder


class GatedMLP(keras.Sequential, Decoder):
    """Gated dense layers from the flattened latent; the last one is linear and starts from `output_bias`."""

    bias_per_pixel = True

    def __init__(self, latent_shape, output_shape, output_bias, hidden, initializer, output_initializer):
        parameters = keras.layers.Dense(
            math.prod(output_shape),
            kernel_initializer=keras.initializers.get(output_initializer),
            bias_initializer=per_pixel(output_bias, output_shape),
            name="parameters",
        )
        gated = [GatedDense(units, initializer, f"hidden_{i}") for i, units in enumerate(hidden)]
        super().__init__(
            [keras.layers.Flatten(), *gated, parameters, keras.layers.Reshape(output_shape)], name="decoder"
        )
