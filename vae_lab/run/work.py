"""The work of a run: train and evaluate, or only evaluate; every number, picture and weight of it in MLflow."""

import logging
import tempfile
from pathlib import Path

from vae_lab.errors import Pruned
from vae_lab.run.checkpoint import Checkpoints
from vae_lab.run.conclude import conclude
from vae_lab.run.device import require_gpu
from vae_lab.run.fit import Fit, OnProgress, fit
from vae_lab.run.order import Order
from vae_lab.run.program import images_of, program_for
from vae_lab.run.run import Run
from vae_lab.tracking.artifacts import CONFIG, IDENTITY, WEIGHTS, fetch_artifact, log_frames_of
from vae_lab.tracking.records import ADOPTED_CODE, RunRecord, rows_of_run
from vae_lab.tracking.tracked_run import TrackedRun

log = logging.getLogger("vae_lab")


def train(
    order: Order, on_progress: OnProgress, run_id: str | None = None, beside: RunRecord | None = None
) -> dict[str, float]:
    """Trains and evaluates one model.

    Args:
      order: the run.
      on_progress: called after each group of steps.
      run_id: an unfinished run of the same identity, to go on with from its last checkpoint.
      beside: an unfinished run of the same training, evaluated otherwise, whose last checkpoint to begin from.

    Returns:
      The metrics at the selected weights.
    """
    require_gpu()
    record = order.open(run_id)
    checkpoints = order.checkpoints_of(record.run_id)
    try:
        with record:
            state = brought_to_end(order, on_progress, record, checkpoints, beside)
        checkpoints.clear()
    finally:
        if not checkpoints.files():  # else the run goes on, and needs what it has kept
            checkpoints.end()
    return state.metrics


def brought_to_end(
    order: Order, on_progress: OnProgress, record: TrackedRun, checkpoints: Checkpoints, beside: RunRecord | None
) -> Fit:
    """A run with all that it has to write; what could not be written yet is kept with its last checkpoint."""
    try:
        run = started(order, record, checkpoints)
        if beside is not None:
            take_over(order, beside, run)
        state = fit(run, on_progress)
        if not state.metrics:
            state.metrics = conclude(run, state.selected, state.epoch)
            log_weights(run)
            record.tag({"vae_lab.epoch": str(state.selected)})
            state.save(run)
    except Pruned:
        checkpoints.clear()
        record.tag({"vae_lab.pruned": "true"})
        raise
    except BaseException as error:
        # A run that will go on takes these rows anew, at other times: written now, they would be there twice.
        if checkpoints.files() or not isinstance(error, Exception):
            record.waiting.clear()
        raise
    return state


def evaluate(order: Order, trained: RunRecord, run_id: str | None = None) -> dict[str, float]:
    """Evaluates the weights of a finished run of the same training, as a run of its own.

    Args:
      order: the run.
      trained: the run whose weights are taken.
      run_id: an evaluation that was cut off, to do anew inside the same run.
    """
    require_gpu()
    epoch = trained.tags["vae_lab.epoch"]
    tags = {"vae_lab.trained_by": trained.trained_by, "vae_lab.epoch": epoch}
    if code := trained.other_code(order.identity.training):
        tags |= {ADOPTED_CODE: code}
    with order.open(run_id, **tags) as record:
        checkpoints = order.checkpoints_of(record.run_id)
        try:
            run = started(order, record, checkpoints)
            with tempfile.TemporaryDirectory() as folder:
                run.model.load_weights(fetch_artifact(order.store, trained.run_id, WEIGHTS, folder))
            metrics = conclude(run, int(epoch), int(epoch))
            log_weights(run)
        except (KeyboardInterrupt, SystemExit):
            record.waiting.clear()  # the next start takes these rows anew, at other times
            raise
    checkpoints.end()
    return metrics


def started(order: Order, record: TrackedRun, checkpoints: Checkpoints) -> Run:
    """Logs what the run is, and gives it all that it works with."""
    record.keep_in(checkpoints.folder)
    record.params(order.params)
    record.text(order.config, CONFIG)
    record.text(order.identity.to_json(), IDENTITY)
    images = images_of(order.settings)
    record.dataset(images.name, images.sha256, images.source)
    return Run(order.settings, images, program_for(order.settings, images), record, checkpoints)


def take_over(order: Order, beside: RunRecord, run: Run) -> None:
    """Begins a run where another of the same training was cut off: its checkpoint, its rows, its frames.

    Rows of validation are left out where the two draw other noise for it.
    """
    other = order.checkpoints_of(beside.run_id)
    checkpoint = other.latest()
    if checkpoint is None:
        return
    epoch, wanted = int(checkpoint.state["epoch"]), run.settings.evaluation
    draws = {key: str(getattr(wanted, key)) for key in ("seed", "samples")}
    alike = all(beside.params.get(f"evaluation.{key}") == value for key, value in draws.items())
    rows = {(row[0], row[3]): row for row in checkpoint.state["waiting"]}
    rows |= {(row[0], row[3]): row for row in rows_of_run(order.store, beside.run_id) if row[3] <= epoch}
    kept = [row for (key, _), row in sorted(rows.items()) if alike or not key.startswith("val/")]
    mine = {"run_id": run.record.run_id, "waiting": kept, "metrics": {}, "curves": {}, "tags": {}}
    run.checkpoints.save(checkpoint.arrays, {**checkpoint.state, **mine})
    log_frames_of(order.store, beside, run.record, epoch)
    left_out = "" if alike else f"; val/* up to there had other draws ({', '.join(draws)}) and is left out"
    log.info("%s  goes on from the checkpoint of run %s, epoch %d%s", order.name, beside.run_id[:8], epoch, left_out)


def log_weights(run: Run) -> None:
    """Logs the model's present weights, by which `load_run` brings it back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(WEIGHTS).name
        run.model.save_weights(path)
        run.record.file(path, str(Path(WEIGHTS).parent))
