"""This harness's training inside a tracked run: metrics to a sqlite store, checkpoints and progress.

Each turn is a run of its own, which goes on with the weights of the one before. It draws no pictures and validates
nothing, so that it computes what the others compute.
"""

import atexit
import shutil
import tempfile
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.specification import Means, Spec
from vae_lab.config import compose
from vae_lab.config.settings import settings_of
from vae_lab.console.progress import Progress
from vae_lab.data.images import Images
from vae_lab.run.checkpoint import Checkpoints
from vae_lab.run.fit import fit
from vae_lab.run.program import images_of, new_program
from vae_lab.run.run import Run
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun


def build(spec: Spec, pixels: np.ndarray):
    """See `benchmarks.peers`."""
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home)
    store = open_store(f"sqlite:///{home}/mlflow.db", "vae_lab", str(home / "artifacts"))
    settings = settings_of(compose.compose(*spec.model.overrides, "evaluation.images_every=0"))
    own = images_of(settings)
    program = new_program(settings, own)
    without_validation = replace(own, train=Images(pixels, own.train.levels), fixed={"test": own.fixed["test"]})
    turns = count()

    def train(epochs):
        turn = next(turns)
        asked = replace(settings, seed=turn, training=replace(settings.training, epochs=epochs))
        checkpoints = Checkpoints(home / f"checkpoints-{turn}", "benchmark")
        with TrackedRun(store, f"turn {turn}", {}) as record:
            progress = Progress("benchmark", 0, 1, epochs, None)
            last = fit(Run(asked, without_validation, program, record, checkpoints), progress).latest
        checkpoints.clear()
        return Means(*(last[f"running/{name}"] for name in Means._fields))

    return train
