"""Convolutional encoder that keeps the grid."""

import keras

from vae_lab.layers.convolutions import Stack
from vae_lab.protocols import Encoder


class ConvSpatial(keras.Sequential, Encoder):
    """Convolutions, the last one linear and to features [B,h,w,output_size]; no dense layer.

    `stack`: the settings of a `Stack`, whose `filters` has an entry less than the others.
    """

    def __init__(self, output_size, **stack):
        convolutions = Stack(**stack)
        features = convolutions.layer(len(convolutions.filters), output_size, last=True, name="features")
        super().__init__([*convolutions.layers(), features], name="encoder")
