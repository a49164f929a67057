"""Lower triangular scales from unconstrained vectors: the square roots of full covariances."""

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.numerics import inverse_softplus, positive


def tril_size(size: int) -> int:
    """How many entries a lower triangular matrix [size,size] has."""
    return size * (size + 1) // 2


def scale_tril(raw, floor, activation="softplus"):
    """raw [..., L(L+1)/2] -> lower triangular [..., L, L] whose diagonal is above `floor`.

    Only the diagonal goes through `activation`; the entries below it are free.
    """
    matrix = tfp.math.fill_triangular(raw)
    return tf.linalg.set_diag(matrix, positive(tf.linalg.diag_part(matrix), floor, activation))


def raw_identity(size: int, floor: float):
    """The float32 vector [L(L+1)/2] that `scale_tril` maps to the identity matrix."""
    return tfp.math.fill_triangular_inverse(inverse_softplus(1.0 - floor) * tf.eye(size)).numpy()
