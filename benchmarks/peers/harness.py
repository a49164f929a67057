"""This harness's own loop."""

from itertools import count

import numpy as np
import tensorflow as tf

from benchmarks.specification import Means, Spec
from vae_lab.config import compose
from vae_lab.config.settings import settings_of
from vae_lab.run.program import images_of, new_program


def build(spec: Spec, pixels: np.ndarray):
    """See `benchmarks.peers`."""
    settings = settings_of(compose.compose(*spec.model.overrides))
    trainer = new_program(settings, images_of(settings)).trainer
    images = tf.constant(pixels)
    turns = count()

    def train(epochs):
        *_, last = trainer.train(images, next(turns), epochs)
        return Means(*(float(last.running[name]) for name in Means._fields))

    return train
