"""What the likelihoods with a location and a scale share: where the two come from."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.numerics import inverse_softplus, positive
from vae_lab.protocols import Likelihood

tfd = tfp.distributions


class LocationScale(keras.layers.Layer, Likelihood):
    """p(x|z) = prod_pixels p(x; loc, scale), with the scale fixed, learned once, or given by the decoder.

    With scale "per_pixel" the parameters are loc and the unconstrained scale, one after the other along the last axis.
    A likelihood says by `pixels` which distribution it is, and by `initial_loc` where its loc starts.
    """

    def __init__(self, scale, initial_scale, scale_floor, loc_activation, output_bias):
        super().__init__(name="likelihood")
        self.scale = scale
        self.initial_scale = initial_scale
        self.scale_floor = scale_floor
        self.loc_activation = keras.activations.get(loc_activation)
        self.output_bias = output_bias
        self.params_size = 2 if scale == "per_pixel" else 1
        self.initial_raw_scale = 0.0 if scale == "fixed" else inverse_softplus(initial_scale - scale_floor)
        if scale == "shared":
            self.raw_scale = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(self.initial_raw_scale), name="raw_scale"
            )

    def pixels(self, loc, scale):
        """loc and scale [...,H,W,C] (or a scalar scale) -> distribution with batch [...,H,W,C] and event []."""
        raise NotImplementedError

    def distribution(self, parameters):
        if self.scale == "per_pixel":
            loc, raw_scale = tf.split(parameters, 2, axis=-1)
            scale = positive(raw_scale + self.initial_raw_scale, self.scale_floor)
        elif self.scale == "shared":
            loc, scale = parameters, positive(self.raw_scale.value, self.scale_floor)
        else:
            loc, scale = parameters, tf.constant(self.initial_scale, parameters.dtype)
        return tfd.Independent(self.pixels(self.loc_activation(loc), scale), 3)

    def initial_loc(self, mean):
        """mean [...,C] -> the loc, before `loc_activation`, of a distribution with that mean."""
        if self.loc_activation is keras.activations.sigmoid:
            clipped = np.clip(mean, 0.001, 0.999)
            return np.log(clipped) - np.log1p(-clipped)
        return mean

    def initial_parameters(self, mean):
        """`initial_loc`; a per-pixel scale starts at `initial_scale` either way."""
        if self.output_bias is None:
            return None
        loc = np.asarray(self.initial_loc(mean))
        return np.concatenate([loc, np.zeros_like(loc)], axis=-1) if self.params_size == 2 else loc
