"""The angle of a von Mises-Fisher draw to its mean direction: rejection sampling, and its derivative."""

import math

import numpy as np
import tensorflow as tf

from vae_lab.layers.bessel import log_mean_exp_and_ratio
from vae_lab.randomness import uniform_like

PROPOSALS = 16  # drawn at once; a third is rejected at most
NODES = 24
NEGLIGIBLE = 20.0  # nats below the density at the angle, from which on the integrand counts no more
HALVINGS = 10
SMALLEST = 1e-9


def polar_angle(size: int, concentration, n, seed):
    """Draws angles in [0, pi] with the density exp(k cos a) sin(a)^(m-2) up to a factor.

    Wood's rejection with Ulrich's generator of the symmetric beta distribution. All 16 proposals are made at once and
    the first that is accepted counts: a bounded program without a loop, a pure function of the seed. Of 3 10^7 draws
    one at most finds none and takes its last proposal, which is less often than a uniform float32 number is 0.

    The derivative by the concentration is implicit, da/dk = -(dF/dk) / (dF/da) with F the distribution function, so it
    goes through the draw alone and any function of the draw may follow. (The correction for rejection of Naesseth et
    al. and Davidson et al. needs the loss itself and has a term of the score function.)

    Args:
      size: m, of the space that the sphere lies in, at least 2.
      concentration: k [batch], at least 0.
      n: how many, a scalar.
      seed: stateless.

    Returns:
      [n, batch].

    References: Wood, "Simulation of the von Mises Fisher distribution", 1994; Ulrich, "Computer generation of
    distributions on the m-sphere", 1984; Figurnov, Mohamed, Mnih, "Implicit Reparameterization Gradients", 2018;
    Davidson, Falorsi, De Cao, Kipf, Tomczak, "Hyperspherical Variational Auto-Encoders", 2018, section 3.3.
    """
    k = tf.broadcast_to(concentration, tf.concat([[n], tf.shape(concentration)], axis=0))

    @tf.custom_gradient
    def with_derivative(k):
        angle = _accepted_angle(size, k, seed)

        def gradient(upstream):
            return upstream * tf.cast(_derivative(size, angle, k), upstream.dtype)

        return angle, gradient

    return with_derivative(k)


def _accepted_angle(size, k, seed):
    """k [n, batch] -> angles.

    The proposal is (1 - (1 + b) e) / (1 - (1 - b) e), e from Beta((m-1)/2, (m-1)/2); it is written by its distance
    2 b e / (1 - e + b e) from 1, so that float32 tells small angles apart.
    """
    uniform = uniform_like(tf.zeros(tf.concat([[3, PROPOSALS], tf.shape(k)], axis=0)), seed)
    radius, within, turn = 1.0, 0.0, math.pi * uniform[1]  # within is 1 - radius
    if size > 2:
        log_rest = 2 * tf.math.log(uniform[0]) / (size - 2)
        radius = tf.sqrt(-tf.math.expm1(log_rest))
        within = tf.exp(log_rest) / (1 + radius)
    e, rest = within / 2 + radius * tf.sin(turn) ** 2, within / 2 + radius * tf.cos(turn) ** 2
    b = (size - 1) / (2 * k + tf.sqrt(4 * k**2 + (size - 1) ** 2))
    denominator = rest + b * e
    beyond = (1 + b) * e / denominator - 1  # the distance from 1, as a multiple of the envelope's, less 1
    log_accept = (size - 1) * tf.math.log1p((1 - b) / 2 * beyond) - 2 * b / (1 + b) * k * beyond
    accepted = tf.math.log1p(-uniform[2]) <= log_accept
    order = tf.reshape(tf.range(PROPOSALS, 0, -1), (-1, *[1] * len(k.shape)))
    first = tf.reduce_max(tf.where(accepted, order, 1), axis=0)
    chosen = tf.cast(order == first, k.dtype)
    below, above = (tf.reduce_sum(chosen * part / denominator, axis=0) for part in (b * e, rest))
    return 2 * tf.atan2(tf.sqrt(below), tf.sqrt(above))


def _derivative(size, angle, k):
    """da/dk = -int_0^a (cos s - A) g(s) ds / g(a), g the density of the angle up to a factor, A its mean cosine.

    The integral over [0, pi] is 0, so that it is taken on the side of the angle where g falls, by Gauss and Legendre,
    up to where g is negligible. Relative error 1e-7 in float64.
    """
    # In float32 an angle can be pi and beyond.
    angle = tf.clip_by_value(tf.cast(angle, tf.float64), SMALLEST, math.pi - SMALLEST)
    k = tf.cast(k, tf.float64)
    _, mean_cosine = log_mean_exp_and_ratio(size, k)

    def log_ratio(step):
        """log g(angle + step) / g(angle)."""
        tilt = -2 * k * tf.sin(angle + step / 2) * tf.sin(step / 2)
        if size == 2:
            return tilt
        return tilt + (size - 2) * tf.math.log(tf.abs(tf.sin(angle + step)) / tf.sin(angle))

    beyond_the_mode = k * tf.sin(angle) ** 2 >= (size - 2) * tf.cos(angle)
    whole = tf.where(beyond_the_mode, math.pi - angle, -angle)
    width = whole
    for halving in range(1, HALVINGS + 1):
        half = whole / 2**halving
        width = tf.where(log_ratio(half) < -NEGLIGIBLE, half, width)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    column = (-1, *[1] * len(angle.shape))
    step = width * np.reshape((nodes + 1) / 2, column)
    values = (tf.cos(angle + step) - mean_cosine) * tf.exp(log_ratio(step)) * np.reshape(weights / 2, column)
    return width * tf.reduce_sum(values, axis=0)
