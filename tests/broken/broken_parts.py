"""Parts with one fault each, as a project may have them."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.posterior.mvn_diag import MVNDiag
from vae_lab.prior.mvn import MVN
from vae_lab.prior.mvn_tril import MVNTriL

tfd = tfp.distributions


class Frozen(MVNTriL):
    """Its distribution is made once."""

    def __init__(self, latent_shape, scale_floor):
        super().__init__(latent_shape, scale_floor)
        self.made = super().distribution(None)

    def distribution(self, posterior_of):
        return self.made


class Raw(MVN):
    """Its weight is TensorFlow's."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.raw_loc = tf.Variable(tf.zeros(latent_shape), name="raw_loc")

    def distribution(self, posterior_of):
        return tfd.MultivariateNormalDiag(self.raw_loc, tf.ones_like(self.raw_loc))


class Unused(MVN):
    """It has a weight that nothing depends on."""

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.spare = self.add_weight(shape=(2,), name="spare")


class Shifted(tfd.MultivariateNormalDiag):
    """Its density integrates to more than 1."""

    def log_prob(self, value, name="log_prob"):
        return super().log_prob(value, name=name) + 0.1


class WrongDensity(MVN):
    """Its density is not that of its samples."""

    def distribution(self, posterior_of):
        return Shifted(tf.zeros(self.latent_shape_), tf.ones(self.latent_shape_))

    def __init__(self, latent_shape):
        super().__init__(latent_shape)
        self.latent_shape_ = latent_shape


class WrongEvent(WrongDensity):
    """Its latents are a batch."""

    def distribution(self, posterior_of):
        return tfd.Normal(tf.zeros(self.latent_shape_), 1.0)


class Leaky(MVNDiag):
    """It ignores stop_gradient."""

    def distribution(self, features, stop_gradient=False):
        return super().distribution(features)


class Wide(keras.Sequential):
    """An encoder whose features are of another width."""

    def __init__(self, output_size):
        super().__init__([keras.layers.Flatten(), keras.layers.Dense(output_size + 1)])
