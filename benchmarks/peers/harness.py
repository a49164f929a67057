"""This harness's own loop."""

from itertools import count

import numpy as np
import tensorflow as tf

from benchmarks.specification import Means, Spec
from vae_lab.config import compose
from vae_lab.run.program import binarize, load_dataset, new_program


def build(spec: Spec, pixels: np.ndarray):
    """See `benchmarks.peers`."""
    cfg = compose.compose(*spec.model.overrides)
    binarization = compose.make_binarization(cfg)
    trainer = new_program(cfg, binarize(load_dataset(cfg), binarization), binarization).trainer
    images = tf.constant(pixels)
    turns = count()

    def train(epochs):
        *_, last = trainer.train(images, next(turns), epochs)
        return Means(*(float(last.running[name]) for name in Means._fields))

    return train
