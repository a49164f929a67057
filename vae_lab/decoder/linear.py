"""Linear decoder."""

import math

import keras

from vae_lab.layers.output_bias import per_pixel
from vae_lab.protocols import Decoder


class Linear(keras.Sequential, Decoder):
    """One dense layer from the flattened latent, which starts from `output_bias`.

    With Gaussian pixels of a shared scale and a standard Gaussian prior the model is probabilistic PCA (Tipping,
    Bishop 1999), whose log p(x) is known.
    """

    bias_per_pixel = True

    def __init__(self, latent_shape, output_shape, output_bias, output_initializer):
        parameters = keras.layers.Dense(
            math.prod(output_shape),
            kernel_initializer=keras.initializers.get(output_initializer),
            bias_initializer=per_pixel(output_bias, output_shape),
            name="parameters",
        )
        super().__init__([keras.layers.Flatten(), parameters, keras.layers.Reshape(output_shape)], name="decoder")
