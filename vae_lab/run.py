"""One run: train, then evaluate; every number, picture and weight of it in MLflow."""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vae_lab import compose
from vae_lab.data.dataset import Dataset
from vae_lab.errors import UsageError
from vae_lab.evaluation.metrics import elbo_metrics
from vae_lab.identity import run_hashes
from vae_lab.numerics import NUMERICS_VERSION
from vae_lab.program import Pixels, Program, binarize, load_dataset, new_program, program_for, resolve_jit
from vae_lab.results import conclude, final_metrics, log_frames
from vae_lab.tracking.provenance import provenance
from vae_lab.tracking.records import RunRecord, fetch_artifact, read_run
from vae_lab.tracking.run import TrackedRun
from vae_lab.tracking.store import Store, open_store
from vae_lab.training import EpochResult

WEIGHTS = "model/model.weights.h5"
CONFIG = "config.yaml"

# Called after each group of steps with where training stands and the newest metrics.
OnProgress = Callable[[EpochResult, dict[str, float]], None]


def store_of(cfg: Any) -> Store:
    """The MLflow store of a configuration."""
    return open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)


def run(cfg: Any, name: str, tags: dict[str, str], on_progress: OnProgress) -> dict[str, float]:
    """Trains and evaluates one model, as a run of the configuration's MLflow store.

    Args:
      cfg: a checked configuration.
      name: the MLflow run's name.
      tags: tags beside those that every run has.
      on_progress: called after each group of steps.

    Returns:
      The metrics at the selected weights.
    """
    store = store_of(cfg)
    with TrackedRun(store, name, provenance() | tags, cfg.sweep.parent) as record:
        described = compose.plain(cfg)
        record.params(compose.flat({key: described[key] for key in described if key not in compose.NOT_OF_THE_MODEL}))
        record.text(compose.to_yaml(cfg), CONFIG)
        dataset = load_dataset(cfg)
        record.dataset(dataset.name, dataset.sha256, dataset.source)
        record.tag(run_hashes(described, dataset.sha256, resolve_jit(cfg), NUMERICS_VERSION))
        record.tag({"vae_lab.data_sha256": dataset.sha256})
        binarization = compose.make_binarization(cfg)
        pixels = binarize(dataset, binarization)
        program = program_for(cfg, pixels, binarization)
        epoch = train(cfg, program, pixels, record, on_progress)
        metrics = conclude(cfg, program, dataset, pixels, record, epoch)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(WEIGHTS).name
            program.model.save_weights(path)
            record.file(path, str(Path(WEIGHTS).parent))
        return metrics


def train(cfg: Any, program: Program, pixels: Pixels, record: TrackedRun, on_progress: OnProgress) -> int:
    """Trains, logging by epoch, and leaves the selected weights in the model; returns the epoch they are of."""
    model, settings = program.model, cfg.evaluation
    stopper = early_stopping(cfg, model)
    best_elbo, best_weights, epoch, selected = -np.inf, None, 0, 0
    speeds: list[float] = []
    training_seconds = 0.0
    latest: dict[str, float] = {}
    log_frames(cfg, program, pixels, record, epoch)
    for result in program.trainer.train(tf.constant(pixels.train), cfg.seed, cfg.training.epochs):
        if result.complete:
            epoch = round(result.epoch)
            latest = {f"running/{term}": value for term, value in result.running.items()}
            speeds.append(result.images / result.seconds)
            training_seconds += result.seconds
            if "val" in pixels.fixed:
                validation = pixels.fixed["val"]
                latest |= elbo_metrics(
                    "val", program.elbo(*validation, settings.samples, settings.seed, settings.batch_size)
                )
                if cfg.training.select == "best" and latest["val/elbo"] > best_elbo:
                    best_elbo, best_weights, selected = latest["val/elbo"], model.get_weights(), epoch
                stopper.on_epoch_end(epoch - 1, latest)
            record.metrics(latest, epoch)
            if settings.images_every and epoch % settings.images_every == 0:
                log_frames(cfg, program, pixels, record, epoch)
        on_progress(result, latest)
        if result.complete and model.stop_training:
            break
    if settings.images_every and epoch % settings.images_every:
        log_frames(cfg, program, pixels, record, epoch)
    record.metrics({"perf/training_seconds": training_seconds}, epoch)
    if len(speeds) > 1:
        record.metrics({"perf/images_per_second": statistics.median(speeds[1:])}, epoch)
    if best_weights is None:
        return epoch
    model.set_weights(best_weights)
    return selected


def early_stopping(cfg: Any, model: Any) -> Any:
    """Keras's own callback, which sets `model.stop_training`."""
    options = cfg.training.early_stopping
    never = options.patience is None
    stopper = keras.callbacks.EarlyStopping(
        monitor="val/elbo",
        mode="max",
        patience=cfg.training.epochs + 1 if never else options.patience,
        min_delta=options.min_delta,
        start_from_epoch=options.start_from_epoch,
    )
    model.stop_training = False
    stopper.set_model(model)
    stopper.on_train_begin()
    return stopper


@dataclass(frozen=True)
class LoadedRun:
    """A run brought back: its configuration, data and trained model."""

    record: RunRecord
    cfg: Any
    dataset: Dataset
    pixels: Pixels
    program: Program

    @property
    def model(self) -> Any:
        """The VAE at the run's selected weights."""
        return self.program.model

    def metrics(self, *splits: str) -> dict[str, float]:
        """The run's final metrics, computed again from its weights; of these splits if any are named.

        Raises:
          UsageError: when its data have no such split.
        """
        for split in splits:
            if split not in self.pixels.fixed:
                raise UsageError(f"splits={','.join(splits)}: the run's data have {', '.join(self.pixels.fixed)}")
        return final_metrics(self.cfg, self.program, self.pixels, splits or None)[0]


def load_run(run_id: str, *overrides: str, tracking_uri: str | None = None) -> LoadedRun:
    """Brings a finished run back from MLflow.

    Args:
      run_id: the MLflow run.
      *overrides: changes of its configuration that leave the model as it is, such as
        "evaluation.importance_samples=5000" or "data.dir=/data".
      tracking_uri: where it was logged; the default store otherwise.

    Raises:
      UsageError: when there is no such run, it has no weights, or its data are not those it was trained on.
    """
    for override in overrides:
        if not override.startswith(("evaluation.", "data.dir=")):
            raise UsageError(f"{override} would make another run of it; only evaluation.* and data.dir can be changed")
    store = open_store(tracking_uri or compose.default_tracking_uri())
    record = read_run(store, run_id)
    with tempfile.TemporaryDirectory() as folder:
        cfg = compose.from_yaml(fetch_artifact(store, run_id, CONFIG, folder).read_text(), overrides)
        weights = fetch_artifact(store, run_id, WEIGHTS, folder)
        dataset = load_dataset(cfg)
        if dataset.sha256 != (trained_on := record.tags["vae_lab.data_sha256"]):
            raise UsageError(
                f"run={run_id} was trained on pixels with SHA-256 {trained_on[:12]}..., and "
                f"data={cfg.data.name} now has {dataset.sha256[:12]}..."
            )
        binarization = compose.make_binarization(cfg)
        pixels = binarize(dataset, binarization)
        program = new_program(cfg, pixels, binarization)
        program.model.load_weights(weights)
    return LoadedRun(record, cfg, dataset, pixels, program)
