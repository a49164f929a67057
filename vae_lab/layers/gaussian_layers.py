"""Latents in layers, each a diagonal Gaussian given the layer that was drawn before it."""

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.layers.gaussian_flow import MEAN_DRAWS, mean_noise

tfd = tfp.distributions


class GaussianLayers(tfp.distributions.Distribution):
    """z = (z_1, ..., z_L) as one vector, whose log-density is the sum of the layers' own.

    The mean is over 64 fixed draws, the same for every member of the batch, as that of a Gaussian under a flow is.

    Args:
      sizes: how many latents each layer has, z_1 first.
      given: by layer, what it is given the layer drawn before it: latents [..., size], None for the first one drawn
        -> loc and scale, both [..., sizes[l]]. Where there is `first`, that layer is not asked for.
      downwards: whether z_L is drawn first, as by a generative model; else z_1.
      like: a tensor [*batch, n] of the batch's shape; None for one without a batch.
      first: the distribution of the layer drawn first, of that batch, where it is not the Gaussian of `given`.
    """

    def __init__(self, sizes, given, downwards, like=None, first=None):
        self._sizes, self._given, self._like, self._first = tuple(sizes), tuple(given), like, first
        layers = range(len(self._sizes))
        self._order = tuple(reversed(layers)) if downwards else tuple(layers)
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED if first is None else first.reparameterization_type,
            validate_args=False,
            allow_nan_stats=False,
            name="gaussian_layers",
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}

    def _event_shape(self):
        return tf.TensorShape([sum(self._sizes)])

    def _event_shape_tensor(self):
        return tf.constant([sum(self._sizes)])

    def _batch_shape(self):
        return tf.TensorShape([]) if self._like is None else self._like.shape[:-1]

    def _batch_shape_tensor(self):
        return tf.constant([], tf.int32) if self._like is None else tf.shape(self._like)[:-1]

    def _first_drawn(self, draws, seed):
        return None if self._first is None else self._first.sample(draws, seed=seed)

    def _drawn(self, noise_of, first):
        """loc + scale * noise layer after layer, below `first` where that is drawn already, put together as z is."""
        found, before = {} if first is None else {self._order[0]: first}, first
        for layer in self._order[len(found) :]:
            loc, scale = self._given[layer](before)
            found[layer] = before = loc + scale * noise_of(layer)
        return tf.concat([found[layer] for layer in range(len(self._sizes))], axis=-1)

    def redrawn(self, z, layers, seed):
        """z [N, latents] of a distribution without a batch, drawn downwards -> the same with its first layers new.

        Args:
          z: whose upper layers are held.
          layers: how many are drawn again, given those above them; fewer than there are.
          seed: a stateless seed.
        """
        found = tf.split(z, self._sizes, axis=-1)
        seeds = tfp.random.split_seed(seed, n=layers, salt="redrawn")
        for layer in reversed(range(layers)):
            loc, scale = self._given[layer](found[layer + 1])
            found[layer] = loc + scale * tf.random.stateless_normal(tf.shape(loc), seeds[layer])
        return tf.concat(found, axis=-1)

    def _sample_n(self, n, seed=None):
        seeds = tfp.random.split_seed(seed, n=len(self._sizes), salt="gaussian_layers")
        batch = self._batch_shape_tensor()
        return self._drawn(
            lambda layer: tf.random.stateless_normal(
                tf.concat([[n], batch, [self._sizes[layer]]], axis=0), seeds[layer]
            ),
            self._first_drawn(n, seeds[self._order[0]]),
        )

    def _mean(self):
        ones = [1] * len(self._batch_shape())

        def noise(layer):
            size = self._sizes[layer]
            return tf.reshape(mean_noise(size, (MEAN_DRAWS, layer)), (MEAN_DRAWS, *ones, size))

        first = self._first_drawn(MEAN_DRAWS, (MEAN_DRAWS, self._order[0]))
        return tf.reduce_mean(self._drawn(noise, first), axis=0)

    def _layer(self, layer, before):
        """The distribution of a layer given the one drawn before it."""
        if before is None and self._first is not None:
            return self._first
        return tfd.MultivariateNormalDiag(*self._given[layer](before))

    def top(self):
        """The distribution of z_L by itself.

        Raises:
          NotImplementedError: where z_1 is drawn first, and no formula of it is known.
        """
        if self._order[0] != len(self._sizes) - 1:
            raise NotImplementedError("layers that are drawn upwards give no density of the last one by itself")
        return self._layer(self._order[0], None)

    def layer_log_probs(self, z):
        """z [..., latents] -> the log-density of each layer given the one drawn before it: L times [...], z_1 first."""
        layers = tf.split(z, self._sizes, axis=-1)
        found, before = {}, None
        for layer in self._order:
            distribution, before = self._layer(layer, before), layers[layer]
            found[layer] = distribution.log_prob(before)
        return [found[layer] for layer in range(len(self._sizes))]

    def _log_prob(self, z):
        first, *others = self.layer_log_probs(z)
        return sum(others, start=first)
