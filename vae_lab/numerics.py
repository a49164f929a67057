"""Numbers kept in range."""

import math

import tensorflow as tf

LARGEST_LOG = 80.0  # exp(89) is infinite in float32


def positive(raw: tf.Tensor, floor: float, activation: str = "softplus") -> tf.Tensor:
    """Maps unconstrained numbers to finite scales above `floor`: softplus, exp, or sqrt_exp of log variances."""
    if activation == "sqrt_exp":
        raw, activation = raw / 2, "exp"
    return floor + (tf.exp(tf.minimum(raw, LARGEST_LOG)) if activation == "exp" else tf.nn.softplus(raw))


def inverse_softplus(scale: float) -> float:
    """The number whose softplus is `scale` > 0."""
    return math.log(math.expm1(scale))
