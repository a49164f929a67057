"""The variational autoencoder: five parts, joined. No loss lives here."""

import keras
import tensorflow as tf

from vae_lab.layers.spaces import Reals
from vae_lab.protocols import Model


class VAE(keras.Model, Model):
    """Holds encoder, posterior, decoder, likelihood and prior (see `vae_lab.protocols`).

    References: Kingma, Welling, "Auto-Encoding Variational Bayes", 2014; Rezende, Mohamed, Wierstra, "Stochastic
    Backpropagation and Approximate Inference in Deep Generative Models", 2014.
    """

    def __init__(self, encoder, posterior, decoder, likelihood, prior, latent_shape):
        super().__init__(name="vae")
        self.encoder = encoder
        self.posterior = posterior
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.latent_shape = tuple(latent_shape)
        if hasattr(posterior, "generative"):
            posterior.generative = prior.given

    @property
    def space(self):
        """The space that latents lie in: R^L, unless the posterior says another."""
        return getattr(self.posterior, "space", Reals())

    def build(self, image_shape):
        """The parts have made their weights already; Keras asks for this method."""

    def features(self, x):
        """x [B,H,W,C] -> what the posterior is made of, float32 whatever the networks compute in."""
        return tf.cast(self.encoder(x), tf.float32)

    def encode(self, x, stop_gradient=False):
        """x [B,H,W,C] -> q(z|x), batch [B], event `latent_shape`."""
        return self.posterior.distribution(self.features(x), stop_gradient)

    def likelihood_parameters(self, z):
        """z [..., *latent_shape] -> what the likelihood is made of, float32 whatever the networks compute in."""
        z = self.space.decoded(z)
        seen = z.shape[len(z.shape) - len(self.latent_shape) :]
        leading = tf.shape(z)[: len(z.shape) - len(seen)]
        parameters = tf.cast(self.decoder(tf.reshape(z, (-1, *seen))), tf.float32)
        return tf.reshape(parameters, tf.concat([leading, parameters.shape[1:]], 0))

    def decode(self, z):
        """z [..., *latent_shape] -> p(x|z), batch [...], event [H,W,C]."""
        return self.likelihood.distribution(self.likelihood_parameters(z))

    def conditional_log_prob(self, parameters, x):
        """parameters [...,B,H,W,C*P] of the likelihood, x [B,H,W,C] -> log p(x|z) [...,B]."""
        return self.likelihood.distribution(parameters).log_prob(x)

    def latent_prior(self):
        """Returns p(z), batch [], event `latent_shape`."""
        return self.prior.distribution(self.encode)

    def call(self, x):
        """Mean reconstruction through the latent nearest to the posterior mean, [B,H,W,C]."""
        return self.decode(self.space.nearest(self.encode(x).mean())).mean()
