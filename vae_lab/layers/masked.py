"""Masked dense networks, whose outputs depend on earlier inputs only."""

import keras
import numpy as np
import tensorflow as tf


class MaskedNetwork(keras.layers.Layer):
    """Dense layers from z [...,L] and, unless C is None, a context [...,C] to `outputs` numbers a latent.

    Latents are counted 1..L, or L..1 with `reverse`. The numbers of latent i depend on the latents counted below i and
    on all of the context: a hidden unit of degree d in 0..L-1 sees the latents counted up to d, and latent i sees the
    units of degrees below i. Units of degree 0 carry the context to latent 1. The last layer starts near zero.

    References: Germain, Gregor, Murray, Larochelle, "MADE: Masked Autoencoder for Distribution Estimation", 2015.
    """

    def __init__(self, size, context, outputs, hidden, activation, reverse, name):
        super().__init__(name=name)
        self.activation = keras.activations.get(activation)
        self.position = np.arange(size, 0, -1) if reverse else np.arange(1, size + 1)
        self.masks: list[np.ndarray] = []
        self.kernels: list[keras.Variable] = []
        self.biases: list[keras.Variable] = []
        before = self.position
        for units in hidden:
            degree = np.arange(units) * size // units
            self._add(before[:, np.newaxis] <= degree, "glorot_uniform")
            before = degree
        small = keras.initializers.RandomNormal(stddev=0.01)
        self._add(before[:, np.newaxis] < np.tile(self.position, outputs), small)
        self.context_kernel = None
        if context is not None:
            self.context_kernel = self.add_weight(
                shape=(context, self.masks[0].shape[1]), initializer="glorot_uniform", name="context_kernel"
            )

    def _add(self, mask, initializer):
        depth = len(self.masks)
        self.masks.append(mask.astype(np.float32))
        self.kernels.append(self.add_weight(shape=mask.shape, initializer=initializer, name=f"kernel_{depth}"))
        self.biases.append(self.add_weight(shape=mask.shape[1:], initializer="zeros", name=f"bias_{depth}"))

    def numbers(self, z, context=None, stop_gradient=False):
        """z [...,L], context [...,C], leading axes that broadcast -> [..., outputs*L], all latents' first ones first.

        With `stop_gradient` the weights are constants to differentiation.
        """

        def value(weight):
            return tf.stop_gradient(weight.value) if stop_gradient else weight.value

        from_context = 0.0 if context is None else tf.tensordot(context, value(self.context_kernel), 1)
        for depth, (mask, kernel, bias) in enumerate(zip(self.masks, self.kernels, self.biases, strict=True)):
            z = tf.tensordot(z if depth == 0 else self.activation(z), mask * value(kernel), 1) + value(bias)
            z = z + from_context if depth == 0 else z
        return z
