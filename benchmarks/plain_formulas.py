"""What three rewritten formulas gain over the plain ones that they stand for, in one process, turn by turn."""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

TURNS = 7


class Pair(NamedTuple):
    """The same numbers computed plainly, and as the harness computes them."""

    name: str
    plain: Callable[[], object]
    ours: Callable[[], object]


def bernoulli():
    """Value and gradient of a batch's Bernoulli pixels, compiled."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    from vae_lab.likelihood.bernoulli import BernoulliImages

    tfd = tfp.distributions
    logits = tf.random.stateless_normal([50, 100, 28, 28, 1], (0, 1))
    x = tf.cast(tf.random.stateless_uniform([100, 28, 28, 1], (0, 2)) < 0.3, tf.float32)

    def scored(family):
        @tf.function(jit_compile=True)
        def value_and_gradient():
            with tf.GradientTape() as tape:
                tape.watch(logits)
                total = tf.reduce_sum(family(tfd.Bernoulli(logits=logits, dtype=tf.float32), 3).log_prob(x))
            return total, tape.gradient(total, logits)

        return lambda: value_and_gradient()[0].numpy()

    return Pair("Bernoulli pixels in one pass", scored(tfd.Independent), scored(BernoulliImages))


def mixture():
    """Value and gradient of a mixture of 500 diagonal Gaussians in 40 dimensions at 1,000 points, compiled."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    from vae_lab.layers.gaussian_mixture import gaussian_mixture

    tfd = tfp.distributions
    loc, z = (tf.random.stateless_normal([rows, 40], (0, rows)) for rows in (500, 1000))

    def scored(family):
        @tf.function(jit_compile=True)
        def value_and_gradient():
            with tf.GradientTape() as tape:
                tape.watch(loc)
                total = tf.reduce_sum(family(tfd.MultivariateNormalDiag(loc, tf.ones_like(loc))).log_prob(z))
            return total, tape.gradient(total, loc)

        return lambda: value_and_gradient()[0].numpy()

    plain = scored(lambda components: tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(500)), components))
    return Pair("Mixture by matrix products", plain, scored(lambda parts: gaussian_mixture(tf.zeros(500), parts)))


def waiting():
    """Fifty training steps of the dense model, whose updates wait for all gradients or do not."""
    import numpy as np
    import tensorflow as tf

    from vae_lab import training
    from vae_lab.config import compose, parts
    from vae_lab.config.settings import settings_of
    from vae_lab.data.dataset import Dataset, Split
    from vae_lab.data.images import run_images
    from vae_lab.run.program import new_trainer

    dense = ("encoder.hidden=[300,300]", "decoder.hidden=[300,300]", "latent_size=50", "training.jit=true")
    settings = settings_of(compose.compose_unchecked("data=mnist", *dense))
    rows = Split(np.random.default_rng(0).integers(0, 256, (5000, 28, 28, 1), np.uint8))
    noise = Dataset("noise", 256, "", "", rows, rows[:0], rows[:100])
    images = run_images(noise, parts.make(settings.options["binarization"]))
    pixels = tf.constant(images.train.pixels)

    def steps(wait):
        trainer = new_trainer(settings, parts.make_model(settings, images.shape, images.levels), images)
        before, training.waiting_for_each_other = training.waiting_for_each_other, wait
        list(trainer.train(pixels, 0, 1))  # traces and compiles
        training.waiting_for_each_other = before
        return lambda: list(trainer.train(pixels, 0, 2))[-1].running["loss"]

    plain, ours = steps(lambda gradients: gradients), steps(training.waiting_for_each_other)
    return Pair("Updates that wait for all gradients", plain, ours)


def gain(pair: Pair, turns: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median over the turns of plain over ours."""
    pair.plain(), pair.ours()
    taken = []
    for _ in range(turns):
        moments = [time.perf_counter()]
        for compute in (pair.plain, pair.ours):
            compute()
            moments.append(time.perf_counter())
        taken.append((moments[1] - moments[0], moments[2] - moments[1]))
    return median(a for a, _ in taken), median(b for _, b in taken), median(a / b for a, b in taken)


def table(turns: int = TURNS) -> str:
    """A line a formula, in Markdown."""
    lines = ["| formula | plain | as it is written | times as fast |", "|---|---:|---:|---:|"]
    for build in (bernoulli, mixture, waiting):
        pair = build()
        plain, ours, ratio = gain(pair, turns)
        lines.append(f"| {pair.name} | {1000 * plain:.1f} ms | {1000 * ours:.1f} ms | {ratio:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
