"""The VampPrior: a mixture of the posteriors of learned images."""

import keras
import numpy as np
import tensorflow as tf

from vae_lab.errors import UsageError
from vae_lab.layers.gaussian_mixture import gaussian_mixture
from vae_lab.protocols import Prior


class Vamp(keras.layers.Layer, Prior):
    """p(z) = (1/K) sum_k q(z|u_k), the pseudo-inputs u_k [H,W,C] learned and the weights equal.

    Each call encodes the pseudo-inputs anew, so that p(z) follows the encoder and passes it gradient. They are kept in
    [0, 1] by a hard clip, like the paper's: a pixel that a step takes out of the range stays at its edge, because its
    gradient is 0 there. Binary training images begin at the edges, and most of their pixels never leave them.

    References: Tomczak, Welling, "VAE with a VampPrior", 2018.

    Args:
      latent_shape: not used; the posterior knows it.
      components: K.
      initialize: "random", N(.05, .01^2) a pixel; or "training_images", the first K of `train_images`, or zeros when
        that is None, because the weights will be loaded.
      image_shape: [H, W, C].
      train_images: float images [N,H,W,C] in [0, 1], or None.

    Raises:
      UsageError: when there are fewer than K training images to start from.
    """

    def __init__(self, latent_shape, components, initialize, image_shape, train_images):
        super().__init__(name="prior")
        shape = (components, *image_shape)
        if initialize == "random":
            start = np.clip(keras.initializers.RandomNormal(0.05, 0.01)(shape), 0.0, 1.0)
        elif train_images is None:
            start = 0.0
        elif len(train_images) < components:
            raise UsageError(
                f"prior.components={components} is more than the {len(train_images)} training images to start from; "
                "use fewer, or prior.initialize=random"
            )
        else:
            start = train_images[:components]
        self.pseudo_inputs = self.add_weight(
            shape=shape, initializer=keras.initializers.Constant(start), name="pseudo_inputs"
        )

    def distribution(self, posterior_of):
        components = posterior_of(tf.clip_by_value(self.pseudo_inputs.value, 0.0, 1.0))
        return gaussian_mixture(tf.zeros(self.pseudo_inputs.shape[0]), components)
