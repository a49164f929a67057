"""Layers of latents, inferred downwards along the generative model."""

from typing import Any

import keras
import tensorflow as tf

from vae_lab.layers.conditional_gaussian import ConditionalGaussian
from vae_lab.layers.flat_latent import flat_size
from vae_lab.layers.gaussian_layers import GaussianLayers
from vae_lab.layers.spaces import Layers
from vae_lab.numerics import positive
from vae_lab.protocols import Posterior


class Ladder(keras.layers.Layer, Posterior):
    """q(z|x) = q(z_L|x) ... q(z_1|z_2, x): what the image says of each layer, joined to p(z_l|z_(l+1)) by precision.

    Going up, d_1 is the context that the encoder gives and d_(l+1) a dense network of d_l; of each d_l a linear layer
    makes a Gaussian of z_l. Going down, the product of that Gaussian and the prior's is, normalized, q(z_l|z_(l+1), x);
    the prior shares its networks by `generative`, which the model sets. The features are loc and the unconstrained
    scale of z_1 and the context, one after the other.

    References: Sonderby, Raiko, Maaloe, Sonderby, Winther, "Ladder Variational Autoencoders", 2016, eq. 11 to 19;
    without its batch normalization.

    Args:
      latent_size: how many latents z_1 has.
      upper: how many each layer above has, z_2 first.
      context: features of the encoder that the upper layers are inferred from.
      hidden: units of the dense network from d_l to d_(l+1).
      activation: of these units.
      scale_activation: softplus, exp or sqrt_exp.
      scale_floor: below which no scale that the image speaks of falls.
    """

    def __init__(self, latent_size, upper, context, hidden, activation, scale_activation, scale_floor):
        super().__init__(name="posterior")
        self.sizes = (latent_size, *upper)
        self.space = Layers(self.sizes)
        self.feature_sizes = (latent_size, latent_size, context)
        self.params_size = sum(self.feature_sizes)
        self.scale_activation, self.scale_floor = scale_activation, scale_floor
        self.generative: Any = None
        self.upwards, self.heads = [], []
        for layer, size in enumerate(upper, start=2):
            path = [keras.layers.Dense(units, activation, name=f"hidden_{depth}") for depth, units in enumerate(hidden)]
            self.upwards.append(keras.Sequential(path or [keras.layers.Identity()], name=f"up_{layer}"))
            self.upwards[-1].build((None, context))
            context = hidden[-1] if hidden else context
            self.heads.append(
                ConditionalGaussian(context, size, (), None, scale_activation, scale_floor, f"layer_{layer}")
            )

    def distribution(self, features, stop_gradient=False):
        flat_size("posterior=ladder", features.shape[1:])
        loc, raw_scale, d = tf.split(features, self.feature_sizes, axis=-1)
        said = [(loc, positive(raw_scale, self.scale_floor, self.scale_activation))]
        for upward, head in zip(self.upwards, self.heads, strict=True):
            d = upward(d)
            said.append(head.given(d))
        if stop_gradient:
            said = [tuple(map(tf.stop_gradient, one)) for one in said]

        def joined(layer):
            if self.generative is None:  # by itself, in no model
                return lambda _: said[layer]
            return lambda above: product(*said[layer], *self.generative(layer, above, stop_gradient))

        top = len(said) - 1
        given = [*map(joined, range(top)), lambda _: said[top]]
        return GaussianLayers(self.sizes, given, downwards=True, like=features)


def product(loc, scale, other_loc, other_scale):
    """loc and scale of the normalized product of two Gaussian densities."""
    precision, other = scale**-2, other_scale**-2
    whole = precision + other
    return (loc * precision + other_loc * other) / whole, tf.math.rsqrt(whole)
