"""Layers of latents, each inferred from the one below it."""

import keras
import tensorflow as tf

from vae_lab.layers.conditional_gaussian import ConditionalGaussian
from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_layers import GaussianLayers
from vae_lab.layers.spaces import Layers
from vae_lab.numerics import positive
from vae_lab.protocols import Posterior


class BottomUp(keras.layers.Layer, Posterior):
    """q(z|x) = q(z_1|x) q(z_2|z_1) ... q(z_L|z_(L-1)), diagonal Gaussians; the upper ones by dense networks.

    The features are loc and the unconstrained scale of z_1, which has `latent_size` latents.

    References: Rezende, Mohamed, Wierstra 2014; Burda, Grosse, Salakhutdinov 2016, eq. 2.

    Args:
      latent_size: how many latents z_1 has.
      upper: how many each layer above has, z_2 first.
      hidden: units of the network between two layers.
      activation: of these units.
      scale_activation: softplus, exp or sqrt_exp.
      scale_floor: below which no scale falls.
    """

    def __init__(self, latent_size, upper, hidden, activation, scale_activation, scale_floor):
        super().__init__(name="posterior")
        self.sizes = (latent_size, *upper)
        self.space = Layers(self.sizes)
        self.params_size = 2 * latent_size
        self.scale_activation, self.scale_floor = scale_activation, scale_floor
        self.networks = [
            ConditionalGaussian(below, size, hidden, activation, scale_activation, scale_floor, f"layer_{layer}")
            for layer, (below, size) in enumerate(zip(self.sizes, upper, strict=False), start=2)
        ]

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=bottom_up", features.shape[1:])
        if stop_gradient:
            features = tf.stop_gradient(features)
        loc, raw_scale = tf.split(features, 2, axis=-1)
        lowest = loc, positive(raw_scale, self.scale_floor, self.scale_activation)

        def from_below(network):
            return lambda below: network.given(below, stop_gradient)

        given = [lambda _: lowest, *map(from_below, self.networks)]
        return GaussianLayers(self.sizes, given, downwards=False, like=features)
