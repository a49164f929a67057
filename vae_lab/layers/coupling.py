"""Couplings: one half of a vector is moved as a network of the other half says."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.rational_quadratic import RationalQuadratic
from vae_lab.numerics import inverse_softplus, positive

tfb = tfp.bijectors


class Coupling(keras.layers.Layer):
    """Keeps the first half of a vector [...,L], L >= 2, and moves the second; with `reverse` the other way round.

    The network has `outputs` numbers for each entry that is moved, and starts with them near zero. It sees the kept
    half and, where `context` is above zero, a vector [...,context] as well.

    References: Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, section 3.2.
    """

    def __init__(self, size, outputs, hidden, activation, reverse, name, context=0):
        super().__init__(name=name)
        self.reverse = reverse
        self.first = size // 2
        kept = size - self.first if reverse else self.first
        self.moved, self.outputs = size - kept, outputs
        self.dense = [
            *(keras.layers.Dense(units, activation=activation) for units in hidden),
            keras.layers.Dense(outputs * self.moved, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)),
        ]
        width = kept
        for layer in self.dense:
            layer.build((None, width))
            width = layer.units
        self.context_kernel = None
        if context:
            self.context_kernel = self.add_weight(
                shape=(context, self.dense[0].units), initializer="glorot_uniform", name="context_kernel"
            )

    def halves(self, z):
        """z [...,L] -> what is kept, what is moved."""
        first, second = z[..., : self.first], z[..., self.first :]
        return (second, first) if self.reverse else (first, second)

    def whole(self, kept, moved):
        """The inverse of `halves`; what is kept may have axes of 1 where what is moved has more."""
        kept = tf.broadcast_to(kept, tf.concat([tf.shape(moved)[:-1], kept.shape[-1:]], axis=0))
        return tf.concat([moved, kept] if self.reverse else [kept, moved], axis=-1)

    def numbers(self, kept, context=None, stop_gradient=False):
        """kept half, context [...,C], leading axes that broadcast -> [..., outputs * moved].

        With `stop_gradient` the weights are constants to differentiation.
        """

        def value(weight):
            return tf.stop_gradient(weight.value) if stop_gradient else weight.value

        numbers = kept
        for depth, layer in enumerate(self.dense):
            numbers = tf.tensordot(numbers, value(layer.kernel), 1) + value(layer.bias)
            if depth == 0 and context is not None:
                numbers += tf.tensordot(context, value(self.context_kernel), 1)
            numbers = layer.activation(numbers)
        return numbers

    def mover(self, numbers):
        """The network's numbers [..., outputs * moved] -> the bijector of the moved half, entry by entry."""
        raise NotImplementedError

    def bijector(self, context=None, stop_gradient=False):
        """The map at the present weights; build it anew on each call."""
        return CouplingBijector(self, context, stop_gradient)


class CouplingBijector(tfp.bijectors.Bijector):
    """Both directions take one pass of the network."""

    def __init__(self, coupling, context, stop_gradient):
        # Without `parameters` no two bijectors are equal, so that none takes another's cached values.
        super().__init__(forward_min_event_ndims=1, name="coupling")
        self._coupling, self._context, self._stop_gradient = coupling, context, stop_gradient

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def _parts(self, z):
        kept, moved = self._coupling.halves(z)
        mover = self._coupling.mover(self._coupling.numbers(kept, self._context, self._stop_gradient))
        return kept, moved, mover

    def _forward(self, x):
        kept, moved, mover = self._parts(x)
        return self._coupling.whole(kept, mover.forward(moved))

    def _inverse(self, y):
        kept, moved, mover = self._parts(y)
        return self._coupling.whole(kept, mover.inverse(moved))

    def _forward_log_det_jacobian(self, x):
        _, moved, mover = self._parts(x)
        return tf.reduce_sum(mover.forward_log_det_jacobian(moved, event_ndims=0), axis=-1)


class AffineCouplingBijector(CouplingBijector):
    """A coupling whose kept half alone decides the determinant: what was moved need not be inverted for it."""

    def _inverse_log_det_jacobian(self, y):
        return -self._forward_log_det_jacobian(y)


class AffineCoupling(Coupling):
    """moved -> scale * moved + shift, near the identity at the start.

    The scale is a softplus above a floor instead of Real NVP's exponential.
    """

    def __init__(self, size, hidden, activation, scale_floor, reverse, name):
        super().__init__(size, 2, hidden, activation, reverse, name)
        self.scale_floor = scale_floor
        self.raw_one = inverse_softplus(1.0 - scale_floor)

    def mover(self, numbers):
        """Shifts of all entries, then their scales -> the bijector of the moved half."""
        shift, raw_scale = tf.split(numbers, 2, axis=-1)
        scale = positive(raw_scale + self.raw_one, self.scale_floor)
        return tfb.Chain([tfb.Shift(shift), tfb.Scale(scale)])

    def bijector(self, context=None, stop_gradient=False):
        """The map at the present weights; build it anew on each call."""
        return AffineCouplingBijector(self, context, stop_gradient)


class SplineCoupling(Coupling):
    """moved -> a rational quadratic spline of it with `bins` bins in [-bound, bound], near the identity at the start.

    References: Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows", 2019, section 3.2.
    """

    def __init__(self, size, bins, bound, hidden, activation, reverse, name, context=0):
        super().__init__(size, 3 * bins - 1, hidden, activation, reverse, name, context)
        self.bound = bound

    def mover(self, numbers):
        """The numbers of an entry stand side by side."""
        shape = tf.concat([tf.shape(numbers)[:-1], [self.moved, self.outputs]], axis=0)
        return RationalQuadratic(tf.reshape(numbers, shape), self.bound)
