"""Residual convolutional decoder."""

import math

import keras

from vae_lab.layers.output_bias import per_channel
from vae_lab.layers.residual import ResidualBlock
from vae_lab.protocols import Decoder


class ResNet(keras.Sequential, Decoder):
    """A linear dense layer, then stages, each of residual blocks, upsampling and a 3x3 convolution; last, a linear one.

    The mirror of the residual encoder: a stage doubles height and width, less one where the encoder rounded up, so
    that any image fits. Pixels are repeated by upsampling (nearest neighbour), which leaves no checkerboard.
    `output_bias` has one entry a channel, as the last layer has.
    """

    bias_per_pixel = False

    def __init__(
        self,
        latent_shape,
        output_shape,
        output_bias,
        filters,
        blocks,
        activation,
        initializer,
        output_initializer,
    ):
        def conv(count, kernel, **options):
            return keras.layers.Conv2D(
                count, 3, padding="same", kernel_initializer=keras.initializers.get(kernel), **options
            )

        sizes = [tuple(output_shape[:2])]
        for _ in filters:
            sizes.insert(0, tuple(-(-size // 2) for size in sizes[0]))
        base = (*sizes[0], filters[0])
        layers = [
            keras.layers.Flatten(),
            keras.layers.Dense(math.prod(base), kernel_initializer=keras.initializers.get(initializer), name="base"),
            keras.layers.Reshape(base),
        ]
        for stage, (count, depth) in enumerate(zip(filters, blocks, strict=True)):
            layers += [ResidualBlock(count, activation, initializer, f"block_{stage}_{i}") for i in range(depth)]
            layers.append(keras.layers.UpSampling2D(2))
            excess = [2 * small - size for small, size in zip(sizes[stage], sizes[stage + 1], strict=True)]
            if any(excess):
                layers.append(keras.layers.Cropping2D([(0, cut) for cut in excess]))
            layers.append(conv(filters[min(stage + 1, len(filters) - 1)], initializer, name=f"up_{stage}"))
        bias = per_channel(output_bias)
        output = conv(output_shape[-1], output_initializer, bias_initializer=bias, name="parameters")
        super().__init__([*layers, keras.layers.Activation(activation), output], name="decoder")
