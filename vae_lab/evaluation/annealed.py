"""log p(x) by annealed importance sampling from prior to posterior, with Hamiltonian Monte Carlo."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vae_lab.randomness import seed_for

WANTED = 0.65  # accepted proposals
UP, DOWN = 1.02, 0.98
FIRST_STEP = 0.1


class Target(NamedTuple):
    """log p(z) and log p(x|z) of a chunk of images, for z [C,B,*latent] -> [C,B]."""

    log_prior: Any
    log_likelihood: Any


class AnnealedSampler:
    """Runs C chains an image through f_t(z) = p(z) p(x|z)^beta_t, beta = t / T.

    The step size of each image is adapted in a run of its own, whose weights are not used: times 1.02 after an accepted
    share of at least .65, else times .98. The run that counts draws anew and takes those steps as they were at each
    temperature, so that its weights are unbiased.

    Args:
      model: the VAE.
      image_shape: [H,W,C].
      steps: T, at least 1.
      leapfrog_steps: of a proposal.

    References: Neal, "Annealed Importance Sampling", 2001; Wu, Burda, Salakhutdinov, Grosse, "On the Quantitative
    Analysis of Decoder-Based Generative Models", 2017; both ways: Grosse, Ghahramani, Adams, "Sandwiching the Marginal
    Likelihood Using Bidirectional Monte Carlo", 2015.
    """

    def __init__(self, model, image_shape, steps, leapfrog_steps):
        self.model = model
        self.steps, self.leapfrog_steps = steps, leapfrog_steps
        x, z = (
            tf.TensorSpec([*free, *shape]) for free, shape in (([None], image_shape), ([None] * 2, model.latent_shape))
        )
        sizes, flag, seed = tf.TensorSpec([steps, None]), tf.TensorSpec([], tf.bool), tf.TensorSpec([2], tf.int32)
        self._run = tf.function(self._chain, input_signature=[x, z, sizes, flag, flag, seed])

    def _target(self, x):
        return Target(
            lambda z: self.model.latent_prior().log_prob(z),
            lambda z: self.model.conditional_log_prob(self.model.likelihood_parameters(z), x),
        )

    def _draw_prior(self, chains, images, seed):
        return self.model.latent_prior().sample((chains, images), seed=seed)

    def _log_joint(self, target, z, beta):
        return target.log_prior(z) + beta * target.log_likelihood(z)

    def _gradient(self, target, z, beta):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = tf.reduce_sum(self._log_joint(target, z, beta))
        return tape.gradient(value, z)

    def _transition(self, target, z, beta, step_size, seed):
        """One proposal, kept or not: z [C,B,...], step sizes [B] -> z and the accepted share [B]."""
        ones, seeds = [1] * (len(z.shape) - 2), tf.unstack(tf.random.split(seed, 2))
        size = tf.reshape(step_size, [1, -1, *ones])
        momentum = tf.random.stateless_normal(tf.shape(z), seeds[0])
        axes = list(range(2, len(z.shape)))
        energy = self._log_joint(target, z, beta) - tf.reduce_sum(momentum**2, axes) / 2
        moved, p = z, momentum + size / 2 * self._gradient(target, z, beta)
        for step in range(self.leapfrog_steps):
            moved += size * p
            last = step == self.leapfrog_steps - 1
            p += size * (0.5 if last else 1.0) * self._gradient(target, moved, beta)
        change = self._log_joint(target, moved, beta) - tf.reduce_sum(p**2, axes) / 2 - energy
        change = tf.where(tf.math.is_nan(change), -np.inf, change)  # beyond what the networks can take
        uniform = tf.random.stateless_uniform(tf.shape(change), seeds[1])
        accepted = tf.math.log(uniform) < change
        z = tf.where(tf.reshape(accepted, tf.concat([tf.shape(change), ones], 0)), moved, z)
        return z, tf.reduce_mean(tf.cast(accepted, tf.float32), axis=0)

    def _chain(self, x, z, sizes, backward, adapt, seed):
        """From the prior, or `backward` from the posterior: log weights float64 [C,B], and step sizes [T,B] used."""
        target, last = self._target(x), tf.cast(self.steps, tf.float32)
        log_weights = tf.zeros(tf.shape(z)[:2], tf.float64)
        used = tf.TensorArray(tf.float32, self.steps, element_shape=[None])
        size = tf.gather(sizes, 0)
        for number in tf.range(self.steps):
            place = tf.where(backward, self.steps - 1 - number, number)  # of the temperature (place + 1) / T
            beta = tf.cast(place + 1, tf.float32) / last
            size = size if adapt else tf.gather(sizes, place)
            used = used.write(place, size)
            if not backward:
                log_weights += tf.cast(target.log_likelihood(z) / last, tf.float64)
            z, share = self._transition(target, z, beta, size, tf.random.fold_in(seed, number))
            if backward:
                log_weights -= tf.cast(target.log_likelihood(z) / last, tf.float64)
            size *= tf.where(share >= WANTED, UP, DOWN)
            z = tf.ensure_shape(z, z.shape)
        return log_weights, used.stack()

    def adapted(self, x, chains, seed, chunk):
        """Step sizes [T,B] from a run whose weights are not used; images [B,H,W,C]."""
        start = self._draw_prior(chains, len(x), seed_for(seed, "annealed first start", chunk))
        sizes = tf.fill([self.steps, len(x)], FIRST_STEP)
        return self._run(x, start, sizes, False, True, seed_for(seed, "annealed adapt", chunk))[1]

    def forward(self, x, chains, sizes, seed, chunk) -> np.ndarray:
        """log of the mean weight, float64 [B]: exp of it is unbiased for p(x), so that in expectation it is too low."""
        start = self._draw_prior(chains, len(x), seed_for(seed, "annealed start", chunk))
        weights = self._run(x, start, sizes, False, False, seed_for(seed, "annealed forward", chunk))[0]
        return log_mean(weights.numpy())

    def backward(self, x, z, chains, sizes, seed, chunk) -> np.ndarray:
        """The same from exact posterior draws z [B,*latent]: in expectation it is too high, float64 [B]."""
        start = tf.repeat(z[tf.newaxis], chains, axis=0)
        weights = self._run(x, start, sizes, True, False, seed_for(seed, "annealed backward", chunk))[0]
        return -log_mean(weights.numpy())


def log_mean(log_weights: np.ndarray) -> np.ndarray:
    """[C,B] -> log of the mean over chains [B]."""
    return np.logaddexp.reduce(log_weights, axis=0) - np.log(len(log_weights))
