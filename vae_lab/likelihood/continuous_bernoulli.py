"""Continuous Bernoulli pixels."""

import keras
import numpy as np
import tensorflow_probability as tfp

from vae_lab.likelihood.bisection import increasing_inverse
from vae_lab.protocols import Likelihood

tfd = tfp.distributions


class ContinuousBernoulli(keras.layers.Layer, Likelihood):
    """p(x|z) = prod_pixels C(l) l^x (1-l)^(1-x) on [0, 1], by the logit of l.

    C(l) = 2 atanh(1-2l) / (1-2l), and 2 at l = 1/2. Its mean is not l but 1 / (1 - exp(-logit)) - 1 / logit.

    References: Loaiza-Ganem, Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders", 2019.
    """

    params_size = 1

    def __init__(self, output_bias):
        super().__init__(name="likelihood")
        self.output_bias = output_bias

    def distribution(self, parameters):
        return tfd.Independent(tfd.ContinuousBernoulli(logits=parameters, dtype=parameters.dtype), 3)

    def initial_parameters(self, mean):
        """The logit with that mean, clipped to [.01, .99]: a mean m near 0 takes a logit of -1/m."""
        if self.output_bias is None:
            return None
        return increasing_inverse(_mean, np.clip(mean, 0.01, 0.99), -100.0, 100.0)


def _mean(logit):
    """(1 + coth(h) - 1/h) / 2 with h = logit / 2."""
    half = logit / 2
    far = np.where(np.abs(half) < 1e-3, 1.0, half)
    return (1 + np.where(far == half, 1 / np.tanh(far) - 1 / far, half / 3)) / 2
