"""Stacks of convolutions, by lists with one entry a layer."""

from dataclasses import dataclass
from typing import Any

import keras

from vae_lab.layers.output_bias import per_channel

KINDS = {"conv": keras.layers.Conv2D, "transposed": keras.layers.Conv2DTranspose}


@dataclass(frozen=True)
class Stack:
    """The settings of a stack, as an option's YAML has them.

    `filters` may have an entry less than the others: the last layer's are its output's.
    """

    filters: list[int]
    kernels: list[int]
    strides: list[int]
    paddings: list[str]
    activation: Any
    initializer: Any
    kinds: list[str] | None = None  # None: convolutions all
    output_initializer: Any = None  # of a last layer with an output of its own; None: as the others

    def layer(self, index, filters, last=False, **options):
        """The layer at a place; the last one is linear."""
        initializer = self.output_initializer if last and self.output_initializer is not None else self.initializer
        return KINDS["conv" if self.kinds is None else self.kinds[index]](
            filters,
            self.kernels[index],
            self.strides[index],
            self.paddings[index],
            activation=None if last else self.activation,
            kernel_initializer=keras.initializers.get(initializer),
            **options,
        )

    def layers(self):
        """A layer for each entry of `filters`, each followed by the activation."""
        return [self.layer(index, filters, name=f"conv_{index}") for index, filters in enumerate(self.filters)]


def upward(stack: Stack, output_shape, output_bias):
    """Returns a decoder's convolutions; the last one is linear and starts from `output_bias`, one entry a channel."""
    bias = per_channel(output_bias)
    output = stack.layer(len(stack.filters), output_shape[-1], last=True, bias_initializer=bias, name="parameters")
    return [*stack.layers(), output]
