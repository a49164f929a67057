"""Sylvester flow with Householder reflections."""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.errors import UsageError
from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_flow import GaussianFlow
from vae_lab.layers.scale_tril import tril_size
from vae_lab.layers.tanh_root import slope_at, tanh_root
from vae_lab.numerics import positive
from vae_lab.protocols import Posterior

tfb = tfp.bijectors
tfd = tfp.distributions

TINY = 1e-12  # of v'v, where v has no direction and reflects nothing


def reflections(v):
    """v [...,H,L] -> unit vectors U and W, both [...,H,L], with (I - 2 u_1 u_1') ... (I - 2 u_H u_H') = I - U'W.

    W = T U, T the inverse of an upper triangular matrix with 1/2 on its diagonal and u_i'u_j above it: few products
    for any H (Schreiber, Van Loan, "A Storage-Efficient WY Representation for Products of Householder
    Transformations", 1989). The product is orthogonal where a u is 0, too.
    """
    square = tf.reduce_sum(v * v, axis=-1, keepdims=True)
    there = square > TINY
    unit = tf.where(there, v * tf.math.rsqrt(tf.where(there, square, 1.0)), 0.0)
    products = tf.matmul(unit, unit, transpose_b=True)
    matrix = tf.linalg.set_diag(products, 0.5 * tf.ones_like(products[..., 0]))
    return unit, tf.linalg.triangular_solve(matrix, unit, lower=False)


def triangular(raw, limit):
    """raw [..., M(M+1)/2] -> upper triangular [...,M,M], its diagonal through limit * tanh."""
    matrix = tfp.math.fill_triangular(raw, upper=True)
    return tf.linalg.set_diag(matrix, limit * tf.tanh(tf.linalg.diag_part(matrix)))


class SylvesterStep(tfp.bijectors.Bijector):
    """z [...,L] -> z + Q R tanh(S Q'z + b), S being the paper's R~.

    Q [L,M] is the first M columns of I - U'W (see `reflections`), R and S [...,M,M] are upper triangular, b is [...,M].
    It is invertible where r_ii s_ii > -1 for every i, and its log-determinant is that of M planar steps of one
    dimension.

    The inverse goes down from the last column, which depends on itself alone: one root of an increasing function each.
    """

    def __init__(self, u, w, r, s, b):
        # Without `parameters` no two bijectors are equal, so that none takes another's cached values.
        super().__init__(forward_min_event_ndims=1, name="sylvester_step")
        self._u, self._w, self._r, self._s, self._b = u, w, r, s, b
        self._columns = b.shape[-1]
        self._slope = 1.0 + tf.linalg.diag_part(r) * tf.linalg.diag_part(s)

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}

    def _turned(self, z):
        """Q'z: [...,L] -> [...,M]."""
        of_columns = self._w[..., : self._columns]
        first = z[..., : self._columns]
        return first - tf.linalg.matvec(of_columns, tf.linalg.matvec(self._u, z), transpose_a=True)

    def _turned_back(self, y):
        """Q y: [...,M] -> [...,L]."""
        of_columns = self._w[..., : self._columns]
        filled = tf.pad(y, [*[[0, 0]] * (len(y.shape) - 1), [0, self._u.shape[-1] - self._columns]])
        return filled - tf.linalg.matvec(self._u, tf.linalg.matvec(of_columns, y), transpose_a=True)

    def _tanh(self, z):
        return tf.tanh(tf.linalg.matvec(self._s, self._turned(z)) + self._b)

    def _forward(self, z):
        return z + self._turned_back(tf.linalg.matvec(self._r, self._tanh(z)))

    def _forward_log_det_jacobian(self, z):
        return tf.reduce_sum(tf.math.log(slope_at(self._tanh(z), self._slope)), axis=-1)

    def _inverse(self, y):
        turned = self._turned(y)

        def column(matrix, i):
            return tf.gather(matrix, i, axis=-1)

        def solve_one(i, before, heights, tanh):
            """Column i, when the later ones are in `before` (of Q'y) and `heights` (of S Q'z + b)."""
            slope, s_column, r_column = column(self._slope, i), column(self._s, i), column(self._r, i)
            # With h = s_ii x_i + what later columns add: h + r_ii s_ii tanh(h) = s_ii y_i + what they add.
            h = tanh_root(column(s_column, i) * column(before, i) + column(heights, i), slope)
            found = tf.tanh(h)[..., tf.newaxis]
            before -= r_column * found
            heights += s_column * column(before, i)[..., tf.newaxis]
            return i - 1, before, heights, tf.where(tf.range(self._columns) == i, found, tanh)

        heights = self._b + tf.zeros_like(turned)
        start = (tf.constant(self._columns - 1), turned + tf.zeros_like(heights), heights, tf.zeros_like(heights))
        tanh = tf.while_loop(lambda i, *_: i >= 0, solve_one, start, maximum_iterations=self._columns)[-1]
        return y - self._turned_back(tf.linalg.matvec(self._r, tanh))


class Sylvester(keras.layers.Layer, Posterior):
    """q(z|x): z_0 ~ N(loc, diag(scale^2)), then `steps` Householder-Sylvester steps.

    The features are loc [L], the unconstrained scale [L], and of each step v [H,L], R and S [M(M+1)/2] each and b [M],
    one after the other. The diagonals of R and S go through a tanh, as in the authors' code, here within
    +-sqrt(1 - slope_floor): each factor of a step's determinant is at least `slope_floor`. `columns` is M, by None as
    many as latents; with one column a step is planar, with u along w.

    `log_prob` is fast at the very tensor that the same distribution sampled. At any other z it inverts the flow column
    by column: `steps` * M roots one after the other.

    References: van den Berg, Hasenclever, Tomczak, Welling, "Sylvester Normalizing Flows for Variational Inference",
    2018, section 3.

    Raises:
      UsageError: when there are more columns than latents.
    """

    def __init__(self, latent_size, steps, reflections, columns, slope_floor, scale_activation, scale_floor):
        super().__init__(name="posterior")
        columns = latent_size if columns is None else columns
        if columns > latent_size:
            raise UsageError(
                f"posterior.columns={columns} is more than latent_size={latent_size}; use null for as many"
            )
        self.steps, self.reflections = steps, reflections
        self.step_sizes = (reflections * latent_size, tril_size(columns), tril_size(columns), columns)
        self.sizes = (latent_size, latent_size, steps * sum(self.step_sizes))
        self.params_size = sum(self.sizes)
        self.limit = math.sqrt(1.0 - slope_floor)
        self.scale_activation = scale_activation
        self.scale_floor = scale_floor

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=sylvester", features.shape[1:])
        if stop_gradient:
            features = tf.stop_gradient(features)
        loc, raw_scale, of_steps = tf.split(features, self.sizes, axis=-1)
        base = tfd.MultivariateNormalDiag(loc, positive(raw_scale, self.scale_floor, self.scale_activation))
        of_steps = tf.reshape(of_steps, (tf.shape(loc)[0], self.steps, sum(self.step_sizes)))
        v, r, s, b = tf.split(of_steps, self.step_sizes, axis=-1)
        v = tf.reshape(v, (tf.shape(loc)[0], self.steps, self.reflections, loc.shape[-1]))
        parts = (*reflections(v), triangular(r, self.limit), triangular(s, self.limit), b)
        steps = [SylvesterStep(*of_step) for of_step in zip(*(tf.unstack(part, axis=1) for part in parts), strict=True)]
        return GaussianFlow(base, tfb.Chain(steps[::-1]))
