"""Convolutional decoder of latents on a grid."""

import keras

from vae_lab.layers.convolutions import Stack, upward
from vae_lab.protocols import Decoder


class ConvSpatial(keras.Sequential, Decoder):
    """Transposed or plain convolutions from z [N,h,w,c]; no dense layer, and the last one is linear.

    All but the last layer are followed by the activation. `output_bias` has one entry a channel, as
    the last layer has. `stack`: the settings of a `Stack`.
    """

    bias_per_pixel = False

    def __init__(self, latent_shape, output_shape, output_bias, **stack):
        super().__init__(upward(Stack(**stack), output_shape, output_bias), name="decoder")
