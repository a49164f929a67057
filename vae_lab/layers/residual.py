"""Residual blocks."""

import keras


class ResidualBlock(keras.layers.Layer):
    """x + conv(act(conv(act(x)))), 3x3 kernels, size and channels kept.

    References: He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", 2016 (pre-activation).
    """

    def __init__(self, filters, activation, initializer, name):
        super().__init__(name=name)
        self.activation = keras.activations.get(activation)
        self.first, self.second = (
            keras.layers.Conv2D(
                filters, 3, padding="same", kernel_initializer=keras.initializers.get(initializer), name=half
            )
            for half in ("first", "second")
        )

    def build(self, input_shape):
        self.first.build(input_shape)
        self.second.build(input_shape)

    def call(self, x):
        return x + self.second(self.activation(self.first(self.activation(x))))
