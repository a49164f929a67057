"""Laplace pixels."""

import tensorflow_probability as tfp

from vae_lab.likelihood.location_scale import LocationScale

tfd = tfp.distributions


class Laplace(LocationScale):
    """p(x|z) = prod_pixels exp(-|x - loc| / scale) / (2 scale): the absolute error, as a density. Mean: loc."""

    def pixels(self, loc, scale):
        return tfd.Laplace(loc, scale)
