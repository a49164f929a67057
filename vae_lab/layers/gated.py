"""Gated layers."""

import keras


class GatedDense(keras.layers.Layer):
    """h * sigmoid(g), h and g linear in the input, each with weights of its own (Tomczak, Welling 2018)."""

    def __init__(self, units, initializer, name):
        super().__init__(name=name)
        self.linear, self.gate = (
            keras.layers.Dense(units, kernel_initializer=keras.initializers.get(initializer), name=half)
            for half in ("linear", "gate")
        )

    def build(self, input_shape):
        self.linear.build(input_shape)
        self.gate.build(input_shape)

    def call(self, x):
        return self.linear(x) * keras.ops.sigmoid(self.gate(x))
