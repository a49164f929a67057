"""Layers of latents, each drawn from the one above it."""

from functools import partial

import keras
import tensorflow as tf

from vae_lab.layers.conditional_gaussian import ConditionalGaussian
from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_layers import GaussianLayers
from vae_lab.protocols import Prior


class Hierarchical(keras.layers.Layer, Prior):
    """p(z) = p(z_1|z_2) ... p(z_(L-1)|z_L) p(z_L): N(0, I) at the top, below it diagonal Gaussians by dense networks.

    These networks are the generative model between the layers; the decoder sees z_1 alone.

    References: Rezende, Mohamed, Wierstra 2014, eq. 1 to 3; Burda, Grosse, Salakhutdinov 2016, eq. 1.

    Args:
      latent_shape: [latents], of all layers together.
      upper: how many latents each layer above z_1 has, z_2 first.
      hidden: units of the network between two layers, as the upper one sees it.
      activation: of these units.
      scale_activation: softplus, exp or sqrt_exp.
      scale_floor: below which no scale falls.
    """

    def __init__(self, latent_shape, upper, hidden, activation, scale_activation, scale_floor):
        super().__init__(name="prior")
        self.sizes = (flat_size("prior=hierarchical", latent_shape) - sum(upper), *upper)
        self.networks = [
            ConditionalGaussian(above, size, hidden, activation, scale_activation, scale_floor, f"layer_{layer}")
            for layer, (size, above) in enumerate(zip(self.sizes, upper, strict=False), start=1)
        ]

    def given(self, layer, above, stop_gradient=False):
        """loc and scale of p(z_layer | `above`), layers counted from 0; of the top layer `above` is None."""
        if layer == len(self.networks):
            return tf.zeros(self.sizes[layer]), tf.ones(self.sizes[layer])
        return self.networks[layer].given(above, stop_gradient)

    def distribution(self, posterior_of):
        layers = range(len(self.sizes))
        return GaussianLayers(self.sizes, [partial(self.given, layer) for layer in layers], downwards=True)
