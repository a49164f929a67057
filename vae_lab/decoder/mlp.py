"""Dense decoder."""

import math

import keras
import numpy as np

from vae_lab.protocols import Decoder


class MLP(keras.Sequential, Decoder):
    """Dense layers from the flattened latent; the last one is linear and starts from `output_bias`."""

    bias_per_pixel = True

    def __init__(self, latent_shape, output_shape, output_bias, hidden, activation, initializer, output_initializer):
        def dense(units, kernel, **options):
            return keras.layers.Dense(units, kernel_initializer=keras.initializers.get(kernel), **options)

        bias = "zeros"
        if output_bias is not None:
            bias = keras.initializers.Constant(np.broadcast_to(output_bias, output_shape).reshape(-1))
        super().__init__(
            [
                keras.layers.Flatten(),
                *(
                    dense(units, initializer, activation=activation, name=f"hidden_{i}")
                    for i, units in enumerate(hidden)
                ),
                dense(math.prod(output_shape), output_initializer, bias_initializer=bias, name="parameters"),
                keras.layers.Reshape(output_shape),
            ],
            name="decoder",
        )
