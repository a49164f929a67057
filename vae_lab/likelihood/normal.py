"""Gaussian pixels."""

import tensorflow_probability as tfp

from vae_lab.likelihood.location_scale import LocationScale

tfd = tfp.distributions


class Normal(LocationScale):
    """p(x|z) = prod_pixels N(x; loc, scale^2). Mean: loc."""

    def pixels(self, loc, scale):
        return tfd.Normal(loc, scale)
