"""Affine coupling: one half of a vector is scaled and shifted by a network of the other half."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.numerics import inverse_softplus, positive


class Coupling(keras.layers.Layer):
    """Keeps the first half of a vector [...,L], L >= 2, and moves the second; with `reverse` the other way round.

    Starts near the identity.

    References: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, section 3.2; the scale is a
    softplus above a floor instead of an exponential.
    """

    def __init__(self, size, hidden, activation, scale_floor, reverse, name):
        super().__init__(name=name)
        self.scale_floor = scale_floor
        self.raw_one = inverse_softplus(1.0 - scale_floor)
        self.reverse = reverse
        self.first = size // 2
        kept = size - self.first if reverse else self.first
        self.dense = [
            *(keras.layers.Dense(units, activation=activation) for units in hidden),
            keras.layers.Dense(2 * (size - kept), kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)),
        ]
        width = kept
        for layer in self.dense:
            layer.build((None, width))
            width = layer.units

    def halves(self, z):
        """z [...,L] -> what is kept, what is moved."""
        first, second = z[..., : self.first], z[..., self.first :]
        return (second, first) if self.reverse else (first, second)

    def whole(self, kept, moved):
        """The inverse of `halves`."""
        return tf.concat([moved, kept] if self.reverse else [kept, moved], axis=-1)

    def shift_and_scale(self, kept):
        """kept half -> shift and scale of the moved half."""
        outputs = kept[tf.newaxis]  # a dense layer wants an axis of rows
        for layer in self.dense:
            outputs = layer(outputs)
        shift, raw_scale = tf.split(outputs[0], 2, axis=-1)
        return shift, positive(raw_scale + self.raw_one, self.scale_floor)

    def bijector(self):
        """The map at the present weights; build it anew on each call."""
        return CouplingBijector(self)


class CouplingBijector(tfp.bijectors.Bijector):
    """moved -> scale * moved + shift. Both directions take one pass of the network."""

    def __init__(self, coupling):
        # Without `parameters` no two bijectors are equal, so that none takes another's cached values.
        super().__init__(forward_min_event_ndims=1, name="coupling")
        self._coupling = coupling

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def _forward(self, x):
        kept, moved = self._coupling.halves(x)
        shift, scale = self._coupling.shift_and_scale(kept)
        return self._coupling.whole(kept, scale * moved + shift)

    def _inverse(self, y):
        kept, moved = self._coupling.halves(y)
        shift, scale = self._coupling.shift_and_scale(kept)
        return self._coupling.whole(kept, (moved - shift) / scale)

    def _forward_log_det_jacobian(self, x):
        _, scale = self._coupling.shift_and_scale(self._coupling.halves(x)[0])
        return tf.reduce_sum(tf.math.log(scale), axis=-1)

    def _inverse_log_det_jacobian(self, y):
        return -self._forward_log_det_jacobian(y)  # the kept half, which decides the scale, is that of x
