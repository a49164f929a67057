"""Residual convolutional encoder."""

import keras

from vae_lab.layers.residual import ResidualBlock
from vae_lab.protocols import Encoder


class ResNet(keras.Sequential, Encoder):
    """Stages, each a 3x3 convolution of stride 2 and residual blocks, then one linear dense layer.

    A stage halves height and width, rounded up, so that any image fits.
    """

    def __init__(self, output_size, filters, blocks, activation, initializer):
        stages = []
        for stage, (count, depth) in enumerate(zip(filters, blocks, strict=True)):
            kernel = keras.initializers.get(initializer)
            stages.append(keras.layers.Conv2D(count, 3, 2, "same", kernel_initializer=kernel, name=f"down_{stage}"))
            stages += [ResidualBlock(count, activation, initializer, f"block_{stage}_{i}") for i in range(depth)]
        features = keras.layers.Dense(
            output_size, kernel_initializer=keras.initializers.get(initializer), name="features"
        )
        # Blocks end without an activation, so one follows the last.
        super().__init__(
            [*stages, keras.layers.Activation(activation), keras.layers.Flatten(), features], name="encoder"
        )
