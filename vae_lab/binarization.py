"""What a pixel becomes before the model sees it.

Stored pixels are the integers 0 .. levels - 1, and the model sees floats in [0, 1]; or they have no levels and are real
values, which the model sees as they are.
"""

import tensorflow as tf

from vae_lab.data.images import Images
from vae_lab.randomness import seed_for, uniform_below, uniform_like

# Pixels that are drawn once are the same in every run, whatever the run's seed.
FIXED_SEED = 0


def intensities(pixels, levels):
    """Integers 0 .. levels - 1 -> float32 in [0, 1]; real values (levels None) -> themselves."""
    pixels = tf.cast(pixels, tf.float32)
    return pixels if levels is None else pixels / (levels - 1)


def draw_once(images, split):
    """The images of the split of that name -> one Bernoulli draw of each pixel, uint8 zeros and ones."""
    intensity = intensities(tf.constant(images.pixels), images.levels)
    drawn = uniform_below(intensity, seed_for(FIXED_SEED, f"binarize {split}"))
    return tf.cast(drawn, tf.uint8).numpy()


class NoBinarization:
    """Pixels stay as they are."""

    # Whether training keeps the original pixels and draws from them at each visit.
    redraws = False

    def fix(self, images, split):
        """Images, and "train", "val" or "test" -> the images that are scored."""
        return images

    def visit(self, pixels, levels, seed):
        """Pixels of a training batch, their levels, a stateless seed -> float32 in [0, 1], in the compiled program."""
        return intensities(pixels, levels)


class Threshold(NoBinarization):
    """1 where the intensity is above 0.5."""

    def fix(self, images, split):
        middle = 0.5 if images.levels is None else (images.levels - 1) / 2
        return Images((images.pixels > middle).astype("uint8"), 2)


class Static(NoBinarization):
    """One Bernoulli draw of each pixel, made once."""

    def fix(self, images, split):
        return Images(draw_once(images, split), 2)


class Dynamic(Static):
    """Training pixels are drawn afresh at every visit (Salakhutdinov, Murray 2008)."""

    redraws = True

    def visit(self, pixels, levels, seed):
        intensity = intensities(pixels, levels)
        return tf.cast(uniform_like(intensity, seed) < intensity, tf.float32)


class Dequantized(NoBinarization):
    """(k + u) / levels with u uniform on [0, 1): for densities (Uria, Murray, Larochelle 2013).

    Training pixels get fresh noise at every visit; other splits once, the same in every run.
    """

    redraws = True

    def fix(self, images, split):
        noise = tf.random.stateless_uniform(images.pixels.shape, seed_for(FIXED_SEED, f"dequantize {split}"))
        return Images(((tf.cast(images.pixels, tf.float32) + noise) / images.levels).numpy(), None)

    def visit(self, pixels, levels, seed):
        pixels = tf.cast(pixels, tf.float32)
        return (pixels + uniform_like(pixels, seed)) / levels
