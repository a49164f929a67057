"""Training as a run does it: it logs, draws, checkpoints, selects and stops on what the compiled loop yields."""

import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vae_lab.config.settings import EarlyStopping, Settings
from vae_lab.evaluation.metrics import elbo_metrics
from vae_lab.run.checkpoint import Checkpoint
from vae_lab.run.conclude import CURVES, log_frames
from vae_lab.run.interrupts import Interrupts
from vae_lab.run.run import Run
from vae_lab.tracking.records import STOPPED_IN_WARMUP
from vae_lab.training import START, EpochResult, NonFiniteLoss, Position
from vae_lab.warmup import warms_up

log = logging.getLogger("vae_lab")

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

    def save(self, run: Run) -> None:
        """Writes a checkpoint: a run that goes on from here sends the metrics that wait, the same rows, and its tags.

        Its curves are in it too, so that nothing that it has written itself has to be asked for.
        """
        arrays = {f"weight/{i:04}": value for i, value in enumerate(run.program.trainer.weights())}
        arrays |= {f"best/{i:04}": value for i, value in enumerate(self.best_weights or [])}
        state = {name: value for name, value in asdict(self).items() if name not in ("position", "best_weights")}
        state |= {"run_id": run.record.run_id, "waiting": run.record.waiting, "position": self.position[:2]}
        state |= {"tags": run.record.tags, "curves": {key: run.record.history(key) for key in CURVES}}
        run.checkpoints.save(arrays | {"sums": self.position.sums}, state)

    @classmethod
    def load(cls, checkpoint: Checkpoint, run: Run) -> "Fit":
        """Puts weights, metrics and tags back as `save` found them."""
        arrays, state = checkpoint
        run.program.trainer.set_weights([arrays[name] for name in sorted(arrays) if name.startswith("weight/")])
        for key, points in state["curves"].items():
            run.record.remember([[key, value, 0, step] for step, value in points])
        run.record.waiting = []
        run.record.take(state["waiting"])
        run.record.tag(state["tags"])
        epoch, done = state["position"]
        best = [arrays[name] for name in sorted(arrays) if name.startswith("best/")]
        known = {name: state[name] for name in cls.__dataclass_fields__ if name not in ("position", "best_weights")}
        return cls(**known, position=Position(epoch, done, arrays["sums"]), best_weights=best or None)


def put_selected_weights(checkpoint: Checkpoint, model: Any) -> int:
    """Puts the weights that a run would keep, had it ended at a checkpoint, into its model; returns their epoch."""
    arrays, state = checkpoint
    best = [arrays[name] for name in sorted(arrays) if name.startswith("best/")]
    newest = [arrays[name] for name in sorted(arrays) if name.startswith("weight/")]
    model.set_weights(best or newest[: len(model.weights)])
    return int(state["selected"] if best else state["epoch"])


def fit(run: Run, on_progress: OnProgress) -> Fit:
    """Trains, or goes on from the last checkpoint, and leaves the selected weights in the model.

    Raises:
      NonFiniteLoss: with the last finite values.
      KeyboardInterrupt, SystemExit: after Ctrl-C or SIGTERM, with the state saved.
    """
    settings, record = run.settings, run.record
    checkpoint = run.checkpoints.latest()
    for path in run.checkpoints.damaged:
        then = "the one before is gone on from" if checkpoint else "the run begins anew"
        log.warning("checkpoint %s is damaged; %s", path, then)
        record.tag({"vae_lab.damaged_checkpoint": path.name})
    for line in run.checkpoints.refused:
        log.warning("%s", line)
    state = Fit.load(checkpoint, run) if checkpoint else Fit()
    if checkpoint is None:
        record.pass_over_rows_there()
        log_frames(run, 0)
    if not state.trained:
        with Interrupts() as interrupts:
            train(run, on_progress, state, interrupts)
        if settings.evaluation.images_every and state.epoch % settings.evaluation.images_every:
            log_frames(run, state.epoch)
        record.metrics({"perf/training_seconds": state.seconds}, state.epoch)
        if len(state.speeds) > 1:
            record.metrics({"perf/images_per_second": statistics.median(state.speeds[1:])}, state.epoch)
        state.trained = True
        if state.seconds > settings.training.checkpoint_seconds:
            state.save(run)
    if state.best_weights is not None:
        run.model.set_weights(state.best_weights)
    else:
        state.selected = state.epoch
    return state


def train(run: Run, on_progress: OnProgress, state: Fit, interrupts: Interrupts) -> None:
    """The loop over groups of steps; brings `state` to the end of training."""
    settings, record = run.settings, run.record
    stopper = early_stopping(settings.training.early_stopping, settings.training.epochs, run.model, state.stopper)
    every, between = settings.evaluation.images_every, settings.training.checkpoint_seconds
    saved = time.monotonic()
    seconds_of_epoch = 0.0
    pixels = tf.constant(run.images.train.pixels)
    steps = run.program.trainer.train(pixels, settings.seed, settings.training.epochs, state.position)
    while True:
        try:
            result = next(steps, None)
        except NonFiniteLoss as error:
            # The same steps would fail again: nothing to go on with, but something to look at.
            record.flush()
            for path in run.checkpoints.files()[-1:]:
                record.file(path, "checkpoint")
            run.checkpoints.clear()
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
            if "val" in run.images.fixed:
                validate(run, state)
                if is_counted(settings, state.epoch):
                    stopper.on_epoch_end(state.epoch - 1, state.latest)
                state.stopper = {"wait": stopper.wait, "best": stopper.best}
            record.metrics(state.latest | called_back(run, state), state.epoch)
            if every and state.epoch % every == 0:
                log_frames(run, state.epoch)
        on_progress(result, state.latest)
        if result.complete and run.model.stop_training:
            if is_of_warmup(settings, state.epoch):
                log.warning("early stopping ended the run in epoch %d, within the warm-up of its KL", state.epoch)
                record.tag({STOPPED_IN_WARMUP: str(state.epoch)})
            return
        if interrupts.asked or time.monotonic() - saved > between:
            state.save(run)
            record.flush()
            saved = time.monotonic()
        interrupts.stop_if_asked()


def called_back(run: Run, state: Fit) -> dict[str, float]:
    """What the user's callbacks make of an epoch, named callback/name."""
    found: dict[str, float] = {}
    for callback, call in run.program.callbacks.items():
        metrics = call(run.model, state.epoch, dict(state.latest)) or {}
        found |= {f"{callback}/{name}": float(value) for name, value in metrics.items()}
    return found


def told(metrics: dict[str, float]) -> str:
    """The last epoch's values in a few words."""
    return ", ".join(f"{name} {value:.6g}" for name, value in metrics.items()) or "no whole epoch"


def validate(run: Run, state: Fit) -> None:
    """Adds an epoch's metrics on the validation images, and keeps the best weights of those after the warm-up."""
    wanted = run.settings.evaluation
    values = run.program.elbo(run.images.fixed["val"], wanted.samples, wanted.seed)
    state.latest |= elbo_metrics("val", values)
    if run.settings.training.select != "best" or is_of_warmup(run.settings, state.epoch):
        return
    if state.latest["val/elbo"] > state.best_elbo:
        state.best_elbo, state.selected = state.latest["val/elbo"], state.epoch
        state.best_weights = run.model.get_weights()


def is_of_warmup(settings: Settings, epoch: int) -> bool:
    """Whether an epoch trains with less than the whole weight of the rate."""
    estimator = settings.options["estimator"]
    return warms_up(epoch, estimator.get("warmup_epochs") or 0, estimator.get("cycle_epochs"))


def is_counted(settings: Settings, epoch: int) -> bool:
    """Whether early stopping looks at an epoch: not in a warm-up, unless it was told to begin within the first one."""
    begins_within = is_of_warmup(settings, settings.training.early_stopping.start_from_epoch + 1)
    return begins_within or not is_of_warmup(settings, epoch)


def early_stopping(options: EarlyStopping, epochs: int, model: Any, state: dict[str, Any]) -> Any:
    """Keras's own callback, which sets `model.stop_training`; from where it stood."""
    stopper = keras.callbacks.EarlyStopping(
        monitor="val/elbo",
        mode="max",
        patience=epochs + 1 if options.patience is None else options.patience,
        min_delta=options.min_delta,
        start_from_epoch=options.start_from_epoch,
    )
    model.stop_training = False
    stopper.set_model(model)
    stopper.on_train_begin()
    for name, value in state.items():
        setattr(stopper, name, value)
    return stopper
