"""This harness's training inside a tracked run: metrics to a sqlite store, checkpoints and progress.

Each turn is a run of its own, which goes on with the weights of the one before. It draws no pictures and validates
nothing, so that it computes what the others compute.
"""

import atexit
import shutil
import tempfile
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.specification import Means, Spec
from vae_lab.config import compose
from vae_lab.console.progress import Progress
from vae_lab.run.checkpoint import Checkpoints
from vae_lab.run.fit import fit
from vae_lab.run.program import Pixels, binarize, load_dataset, new_program
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun


def build(spec: Spec, pixels: np.ndarray):
    """See `benchmarks.peers`."""
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home)
    store = open_store(f"sqlite:///{home}/mlflow.db", "vae_lab", str(home / "artifacts"))
    cfg = compose.compose(*spec.model.overrides, "evaluation.images_every=0")
    binarization = compose.make_binarization(cfg)
    own = binarize(load_dataset(cfg), binarization)
    program = new_program(cfg, own, binarization)
    without_validation = Pixels(pixels, own.train_levels, {"test": own.fixed["test"]})
    turns = count()

    def train(epochs):
        cfg.seed, cfg.training.epochs = next(turns), epochs
        checkpoints = Checkpoints(home / f"checkpoints-{cfg.seed}")
        with TrackedRun(store, f"turn {cfg.seed}", {}) as record:
            progress = Progress("benchmark", 0, 1, epochs, None)
            last = fit(cfg, program, without_validation, record, checkpoints, progress).latest
        checkpoints.clear()
        return Means(*(last[f"running/{name}"] for name in Means._fields))

    return train
