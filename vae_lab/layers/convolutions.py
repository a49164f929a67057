"""Stacks of convolutions, by lists with one entry a layer."""

import keras

from vae_lab.layers.output_bias import per_channel

KINDS = {"conv": keras.layers.Conv2D, "transposed": keras.layers.Conv2DTranspose}


def downward(filters, kernels, strides, paddings, activation, initializer):
    """Returns an encoder's convolutions, each followed by the activation."""
    return [
        keras.layers.Conv2D(
            count,
            kernel,
            stride,
            padding,
            activation=activation,
            kernel_initializer=keras.initializers.get(initializer),
            name=f"conv_{index}",
        )
        for index, (count, kernel, stride, padding) in enumerate(zip(filters, kernels, strides, paddings, strict=True))
    ]


def upward(
    output_shape,
    output_bias,
    filters,
    kernels,
    strides,
    paddings,
    kinds,
    activation,
    initializer,
    output_initializer,
):
    """Returns a decoder's convolutions; the last one is linear and starts from `output_bias`, one entry a channel.

    `filters` has an entry less than the others: the last layer's follow from `output_shape`.
    """
    last = len(filters)
    return [
        KINDS[kind](
            count,
            kernel,
            stride,
            padding,
            activation=None if index == last else activation,
            kernel_initializer=keras.initializers.get(output_initializer if index == last else initializer),
            bias_initializer=per_channel(output_bias) if index == last else "zeros",
            name="parameters" if index == last else f"conv_{index}",
        )
        for index, (count, kernel, stride, padding, kind) in enumerate(
            zip([*filters, output_shape[-1]], kernels, strides, paddings, kinds, strict=True)
        )
    ]
