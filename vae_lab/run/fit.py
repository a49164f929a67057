"""Training as a run does it: it logs, draws, checkpoints, selects and stops on what the compiled loop yields."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vae_lab.evaluation.metrics import elbo_metrics
from vae_lab.run.checkpoint import Checkpoint, Checkpoints
from vae_lab.run.conclude import log_frames
from vae_lab.run.interrupts import Interrupts
from vae_lab.run.program import Pixels, Program
from vae_lab.tracking.tracked_run import TrackedRun
from vae_lab.training import START, EpochResult, NonFiniteLoss, Position

# Called after each group of steps with where training stands and the newest metrics.
OnProgress = Callable[[EpochResult, dict[str, float]], None]


@dataclass
class Fit:
    """How far a run has come: with the weights, all that it takes to go on as if nothing had happened."""

    epoch: int = 0  # whole epochs trained
    selected: int = 0  # the epoch whose weights are kept
    best_elbo: float = -np.inf
    stopper: dict[str, Any] = field(default_factory=dict)  # Keras's early stopping: its best value and its patience
    speeds: list[float] = field(default_factory=list)  # images a second, by epoch
    seconds: float = 0.0  # of training
    latest: dict[str, float] = field(default_factory=dict)  # newest metrics
    trained: bool = False
    metrics: dict[str, float] = field(default_factory=dict)  # final ones, once the run is evaluated
    position: Position = START
    best_weights: list[np.ndarray] | None = None

    def save(self, checkpoints: Checkpoints, program: Program, record: TrackedRun) -> None:
        """Writes a checkpoint. The metrics that wait are in it: a run that goes on from here sends the same rows."""
        arrays = {f"weight/{i:04}": value for i, value in enumerate(program.trainer.weights())}
        arrays |= {f"best/{i:04}": value for i, value in enumerate(self.best_weights or [])}
        state = {name: value for name, value in asdict(self).items() if name not in ("position", "best_weights")}
        state |= {"run_id": record.run_id, "waiting": record.waiting, "position": self.position[:2]}
        checkpoints.save(arrays | {"sums": self.position.sums}, state)

    @classmethod
    def load(cls, checkpoint: Checkpoint, program: Program, record: TrackedRun) -> "Fit":
        """Puts weights and waiting metrics back as `save` found them."""
        arrays, state = checkpoint
        program.trainer.set_weights([arrays[name] for name in sorted(arrays) if name.startswith("weight/")])
        record.waiting = state.pop("waiting")
        epoch, done = state.pop("position")
        position = Position(epoch, done, arrays["sums"])
        best = [arrays[name] for name in sorted(arrays) if name.startswith("best/")]
        del state["run_id"]
        return cls(**state, position=position, best_weights=best or None)


def put_selected_weights(checkpoint: Checkpoint, model: Any) -> int:
    """Puts the weights that a run would keep, had it ended at a checkpoint, into its model; returns their epoch."""
    arrays, state = checkpoint
    best = [arrays[name] for name in sorted(arrays) if name.startswith("best/")]
    newest = [arrays[name] for name in sorted(arrays) if name.startswith("weight/")]
    model.set_weights(best or newest[: len(model.weights)])
    return int(state["selected"] if best else state["epoch"])


def fit(
    cfg: Any,
    program: Program,
    pixels: Pixels,
    record: TrackedRun,
    checkpoints: Checkpoints,
    on_progress: OnProgress,
) -> Fit:
    """Trains, or goes on from the last checkpoint, and leaves the selected weights in the model.

    Raises:
      NonFiniteLoss: with the last finite values.
      KeyboardInterrupt, SystemExit: after Ctrl-C or SIGTERM, with the state saved.
    """
    model = program.model
    checkpoint = checkpoints.latest()
    for path in checkpoints.damaged:
        record.tag({"vae_lab.damaged_checkpoint": path.name})
    state = Fit.load(checkpoint, program, record) if checkpoint else Fit()
    stopper = early_stopping(cfg, model, state.stopper)
    if checkpoint is None:
        log_frames(cfg, program, pixels, record, 0)
    if not state.trained:
        with Interrupts() as interrupts:
            train(cfg, program, pixels, record, checkpoints, on_progress, state, stopper, interrupts)
        if cfg.evaluation.images_every and state.epoch % cfg.evaluation.images_every:
            log_frames(cfg, program, pixels, record, state.epoch)
        record.metrics({"perf/training_seconds": state.seconds}, state.epoch)
        if len(state.speeds) > 1:
            record.metrics({"perf/images_per_second": statistics.median(state.speeds[1:])}, state.epoch)
        state.trained = True
        if state.seconds > cfg.training.checkpoint_seconds:
            state.save(checkpoints, program, record)
    if state.best_weights is not None:
        model.set_weights(state.best_weights)
    else:
        state.selected = state.epoch
    return state


def train(
    cfg: Any,
    program: Program,
    pixels: Pixels,
    record: TrackedRun,
    checkpoints: Checkpoints,
    on_progress: OnProgress,
    state: Fit,
    stopper: Any,
    interrupts: Interrupts,
) -> None:
    """The loop over groups of steps; brings `state` to the end of training."""
    settings, model = cfg.evaluation, program.model
    saved = time.monotonic()
    seconds_of_epoch = 0.0
    steps = program.trainer.train(tf.constant(pixels.train), cfg.seed, cfg.training.epochs, state.position)
    while True:
        try:
            result = next(steps, None)
        except NonFiniteLoss as error:
            # The same steps would fail again: nothing to go on with, but something to look at.
            record.flush()
            for path in checkpoints.files()[-1:]:
                record.file(path, "checkpoint")
            checkpoints.clear()
            raise NonFiniteLoss(f"{error}; before: {told(state.latest)}") from None
        if result is None:
            return
        state.position = result.position
        state.seconds += result.seconds - seconds_of_epoch
        seconds_of_epoch = 0.0 if result.complete else result.seconds
        if result.complete:
            state.epoch = round(result.epoch)
            state.latest = {f"running/{term}": value for term, value in result.running.items()}
            state.speeds.append(result.images / result.seconds)
            if "val" in pixels.fixed:
                validate(cfg, program, pixels, state)
                stopper.on_epoch_end(state.epoch - 1, state.latest)
                state.stopper = {"wait": stopper.wait, "best": stopper.best}
            record.metrics(state.latest, state.epoch)
            if settings.images_every and state.epoch % settings.images_every == 0:
                log_frames(cfg, program, pixels, record, state.epoch)
        on_progress(result, state.latest)
        if result.complete and model.stop_training:
            return
        if interrupts.asked or time.monotonic() - saved > cfg.training.checkpoint_seconds:
            state.save(checkpoints, program, record)
            record.flush()
            saved = time.monotonic()
        interrupts.stop_if_asked()


def told(metrics: dict[str, float]) -> str:
    """The last epoch's values in a few words."""
    return ", ".join(f"{name} {value:.6g}" for name, value in metrics.items()) or "no whole epoch"


def validate(cfg: Any, program: Program, pixels: Pixels, state: Fit) -> None:
    """Adds an epoch's metrics on the validation images, and keeps the weights if they are the best."""
    settings = cfg.evaluation
    values = program.elbo(*pixels.fixed["val"], settings.samples, settings.seed)
    state.latest |= elbo_metrics("val", values)
    if cfg.training.select == "best" and state.latest["val/elbo"] > state.best_elbo:
        state.best_elbo, state.selected = state.latest["val/elbo"], state.epoch
        state.best_weights = program.model.get_weights()


def early_stopping(cfg: Any, model: Any, state: dict[str, Any]) -> Any:
    """Keras's own callback, which sets `model.stop_training`; from where it stood."""
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
    for name, value in state.items():
        setattr(stopper, name, value)
    return stopper
