"""Gaussian posterior with a diagonal covariance."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.numerics import positive
from vae_lab.protocols import Posterior

tfd = tfp.distributions


class MVNDiag(keras.layers.Layer, Posterior):
    """q(z|x) = N(loc, diag(scale^2)), independent over the grid of a spatial latent (Kingma, Welling 2014).

    The features are loc and the unconstrained scale, one after the other along the last axis. A scale that
    `raw_scale_range` clips gets no gradient.
    """

    def __init__(self, latent_size, scale_activation, raw_scale_range, scale_floor):
        super().__init__(name="posterior")
        self.params_size = 2 * latent_size
        self.scale_activation = scale_activation
        self.raw_scale_range = raw_scale_range
        self.scale_floor = scale_floor

    def distribution(self, features, stop_gradient=False):
        if stop_gradient:
            features = tf.stop_gradient(features)
        loc, raw_scale = tf.split(features, 2, axis=-1)
        if self.raw_scale_range is not None:
            raw_scale = tf.clip_by_value(raw_scale, *self.raw_scale_range)
        diagonal = tfd.MultivariateNormalDiag(loc, positive(raw_scale, self.scale_floor, self.scale_activation))
        grid = len(features.shape) - 2
        return tfd.Independent(diagonal, grid) if grid else diagonal
