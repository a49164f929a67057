"""One job, alone or of a sweep: what Hydra calls. It does what is missing, and nothing twice."""

import json
import logging
import math
import pickle
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vae_lab.config import compose
from vae_lab.config.checks import check, note_on_pixels
from vae_lab.config.checks.facts import AXES
from vae_lab.config.overrides import check_overrides
from vae_lab.config.settings import settings_of
from vae_lab.console.plan_table import show_adopted, show_plan, show_run
from vae_lab.console.progress import Progress
from vae_lab.errors import Pruned, UsageError
from vae_lab.quiet_start import quiet_start
from vae_lab.run.device import take_gpu
from vae_lab.run.lock import Lock, Locked, deciding_locks, lock_name, locks_folder
from vae_lab.run.order import Order
from vae_lab.study.identity import identity_of
from vae_lab.tracking.artifacts import PLANNED_CODE, artifact
from vae_lab.tracking.heartbeat import LOCKS_TAG, is_worked_on
from vae_lab.tracking.records import RunRecord, failures_since, read_run, run_of, runs_of
from vae_lab.tracking.standing import adopt_alike, other_code, standings, standings_in
from vae_lab.tracking.store import Store, open_store, reopen_store

LONGEST_NAME = 60
NOT_IN_NAMES = ("seed=", "sweep.", "hydra.", "tracking.", "data.dir=")
# A job that took its process down this often (out of memory, most often) is not tried again in a sweep.
MOST_ATTEMPTS = 3


Reporting = Callable[[Any, int, Progress], Any]


class Skipped(RuntimeError):
    """The job was not begun."""


def job_tags(cfg: Any, overrides: list[str], choices: Mapping[str, str | None]) -> dict[str, str]:
    """Tags by which a run is found in MLflow: its options, its overrides, its arm and its sweep."""
    tags = {f"option.{axis}": str(choices.get(axis)) for axis in AXES}
    tags |= {
        "option.optimizer": str(choices.get("optimizer")),
        "option.schedule": str(choices.get("schedule")),
        "vae_lab.overrides": json.dumps([entry for entry in overrides if not entry.startswith("sweep.")]),
        "vae_lab.arm": cfg.sweep.arm or "default",
        "vae_lab.kind": "run",
    }
    if choices.get("experiment"):
        tags["vae_lab.experiment"] = Path(str(choices["experiment"])).name
    if cfg.sweep.parent is not None:
        tags |= {"vae_lab.sweep": cfg.sweep.parent, "vae_lab.sweep_started": str(cfg.sweep.started)}
    if cfg.sweep.trial is not None:
        tags |= {"vae_lab.search": cfg.sweep.study, "vae_lab.trial": str(cfg.sweep.trial)}
    return tags


def single_name(overrides: list[str], seed: int) -> str:
    """A run's name by its overrides: the chosen options, then settings as long as the name can be read."""
    given = [entry.partition("=")[::2] for entry in overrides]
    told = [(key, value) for key, value in given if not f"{key}=".startswith(NOT_IN_NAMES)]
    told.sort(key=lambda entry: "." in entry[0])
    ends = [key.rpartition(".")[2] for key, _ in told]
    short = [end if ends.count(end) == 1 else key for (key, _), end in zip(told, ends, strict=True)]
    words = [f"{key}={value}" for key, (_, value) in zip(short, told, strict=True)]
    shown = list(words)
    while len("-".join(shown)) > LONGEST_NAME:
        shown.pop()
    rest = [f"and {len(words) - len(shown)} more"] if len(shown) < len(words) else []
    return "-".join([*shown, *rest, f"s{seed}"])


def order_of(cfg: Any, tags: Mapping[str, str], name: str, store: Store) -> Order:
    """The run that a configuration asks for. The last that knows of configurations: from here on there are settings."""
    settings, described = settings_of(cfg), compose.plain(cfg)
    params = compose.flat({key: described[key] for key in described if key not in compose.NOT_OF_THE_MODEL})
    by_name = {f"{key.removesuffix('name')}_target_" for key in params if key.endswith(".name")}
    return Order(
        settings=settings,
        identity=identity_of(settings),
        name=name,
        tags=tags,
        config=compose.to_yaml(cfg),
        params={key: value for key, value in params.items() if key not in by_name},  # a name stands for its class
        store=store,
        parent=cfg.sweep.parent,
        checkpoints=Path(cfg.paths.checkpoints),
    )


def run_job(
    cfg: Any, overrides: list[str], choices: Mapping[str, str | None], reporting: Reporting = lambda *job: job[-1]
) -> float:
    """Brings one configuration to a finished run; returns its validation ELBO, by which sweepers of Hydra's compare.

    NaN where there are no validation rows: the test images are for the result. A run of the same identity that has
    finished is not done again, unless `sweep.repeat=all`; one that was cut off goes on from its last checkpoint,
    inside the same MLflow run.

    Args:
      cfg: the configuration, as Hydra composed it.
      overrides: those that it was composed of.
      choices: by axis, the chosen option.
      reporting: who else is told of each epoch: the job's `sweep`, its epochs and its progress -> what is called.

    Raises:
      UsageError: before any work, where the configuration cannot run, or a sweep has planned another run.
      Locked: where another process works on the job.
      Skipped: where the sweep has failed too often, or the job has taken down its process too often.
    """
    check_overrides(overrides, cfg)
    check(cfg)
    check_sweep(cfg)
    if cfg.sweep.parent is None and (note := note_on_pixels(cfg, overrides)):
        print(note, flush=True)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # a worker that is told to stop
    name = cfg.sweep.run_name or single_name(overrides, cfg.seed)
    if cfg.sweep.plan:  # a sweep shows its own, and starts no job
        identity = identity_of(settings_of(cfg))
        (standing,) = standings_in(cfg.tracking.uri, cfg.tracking.experiment_name, [identity])
        show_plan([(name, cfg.training.epochs, standing)])
        return math.nan
    opened = open_store if cfg.sweep.parent is None else reopen_store
    store = opened(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
    order = order_of(cfg, job_tags(cfg, overrides, choices), name, store)
    require_planned(cfg.sweep, order)
    why = cfg.sweep.why
    if cfg.sweep.parent is None:
        if cfg.sweep.accept == "code":
            show_adopted(adopt_alike(store, [order.identity]))
        why = standings(store, [order.identity])[0].why()
    progress = Progress(name, cfg.sweep.number, cfg.sweep.total, cfg.training.epochs, cfg.sweep.started)
    locks = locks_folder(cfg.tracking.uri, cfg.paths.outputs)
    with Lock(locks, lock_name(store.experiment_id, order.identity.training)):
        known = runs_of(store, "vae_lab.evaluation", [order.identity.evaluation])[order.identity.evaluation]
        if cfg.sweep.repeat == "missing" and (done := [record for record in known if record.status == "FINISHED"]):
            progress.done_before(done[-1].metrics)
            value = done[-1].metrics.get("val/elbo", math.nan)
        else:
            stop_after_failures(cfg.sweep, store)
            deciding = deciding_locks(locks)
            begun = None if cfg.sweep.repeat == "all" else unfinished(known, order, locks=deciding)
            more = {"vae_lab.attempts": str(attempts(cfg.sweep, begun)), LOCKS_TAG: deciding or ""}
            order = replace(order, tags={**order.tags, **more})
            progress.starts(begun is not None, why)
            value = work(cfg, order, progress, begun, reporting)
    if cfg.sweep.parent is None and (made := run_of(store, order.identity.evaluation)) is not None:
        show_run(store, made.run_id)
    return value


def work(cfg: Any, order: Order, progress: Progress, begun: RunRecord | None, reporting: Reporting) -> float:
    """Trains and evaluates, or only evaluates where the same training has finished."""
    # TensorFlow warns of retracing where jobs of other structures call functions of the same name.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if cfg.sweep.total > 1:
        take_gpu(locks_folder(cfg.tracking.uri, cfg.paths.outputs))
    with quiet_start():
        from vae_lab.run.work import evaluate, train  # imports TensorFlow: not before the checks are over

    try:
        same = runs_of(order.store, "vae_lab.training", [order.identity.training])[order.identity.training]
        trained = [record for record in same if record.status == "FINISHED" and "vae_lab.epoch" in record.tags]
        run_id = begun.run_id if begun else None
        anew = cfg.sweep.repeat == "all"
        if trained and not anew and not (run_id and order.checkpoints_of(run_id).files()):
            metrics = evaluate(order, trained[-1], run_id)
        else:
            deciding = deciding_locks(locks_folder(cfg.tracking.uri, cfg.paths.outputs))
            beside = None if anew or begun else unfinished(same, order, with_checkpoint=True, locks=deciding)
            metrics = train(order, reporting(cfg.sweep, cfg.training.epochs, progress), run_id, beside)
    except Pruned:
        progress.ends()
        return math.nan
    except BaseException as error:
        progress.failed(error)
        if isinstance(error, Exception) and not can_be_sent(error):
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise
    progress.finished(metrics)
    return metrics.get("val/elbo", math.nan)


def can_be_sent(error: Exception) -> bool:
    """Whether an exception reaches the process that launched this one; TensorFlow's do not."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # whatever the error's own class raises when it is taken apart or built again
        return False


def unfinished(
    known: list[RunRecord], order: Order, with_checkpoint: bool = False, locks: str | None = None
) -> RunRecord | None:
    """The newest run that was cut off; one that failed only where it has left a checkpoint.

    Args:
      known: the runs among which it is.
      order: the run that is to be made.
      with_checkpoint: whether the others count only so, too.
      locks: the folder of locks that decides here, as `deciding_locks` says; the job's own is taken.

    Raises:
      Locked: where another machine works on one of them.
    """
    if any(record.status == "RUNNING" and is_worked_on(record.tags, locks) for record in known):
        raise Locked("another machine works on this job")
    begun = [
        record
        for record in known
        if record.status != "FINISHED"
        and "vae_lab.pruned" not in record.tags
        and (order.checkpoints_of(record.run_id).files() or not (with_checkpoint or record.status == "FAILED"))
    ]
    return begun[-1] if begun else None


def attempts(sweep: Any, begun: RunRecord | None) -> int:
    """How often this start of the sweep has begun the job, this time included.

    Raises:
      Skipped: where the job's process has died under it too often, out of memory most likely.
    """
    if begun is None or begun.status != "RUNNING" or begun.tags.get("vae_lab.sweep_started") != str(sweep.started):
        return 1
    times = int(begun.tags["vae_lab.attempts"])
    if times >= MOST_ATTEMPTS:
        raise Skipped(f"its process has died {times} times (out of memory?); its run is {begun.run_id}")
    return times + 1


def require_planned(sweep: Any, order: Order) -> None:
    """Raises UsageError where this machine would run something else than the sweep has planned."""
    if sweep.identity in (None, order.identity.evaluation):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = artifact(order.store, read_run(order.store, sweep.parent), PLANNED_CODE, Path(folder))
        files = other_code(json.loads(path.read_text()), order.identity) if path is not None else ""
    what = f"other code: {files}" if files else "other settings or data"
    raise UsageError(
        f"{order.name} would be another run on this machine than was planned ({what}); bring both to one state, and "
        "start the sweep again"
    )


def stop_after_failures(sweep: Any, store: Store) -> None:
    """Raises Skipped where `sweep.max_failures` jobs of this sweep have failed since it was started."""
    if sweep.max_failures is None or sweep.parent is None:
        return
    failed = failures_since(store, sweep.parent, sweep.started)
    if failed >= sweep.max_failures:
        raise Skipped(f"{failed} jobs have failed, and sweep.max_failures={sweep.max_failures}")


def check_sweep(cfg: Any) -> None:
    """Raises UsageError where a setting of the sweep is none."""
    if cfg.sweep.repeat not in ("missing", "all"):
        raise UsageError(f"sweep.repeat={cfg.sweep.repeat} must be missing or all")
    if cfg.sweep.accept not in (None, "code"):
        raise UsageError(f"sweep.accept={cfg.sweep.accept} must be code, or null")
    if cfg.sweep.accept and cfg.sweep.repeat == "all":
        raise UsageError("sweep.accept=code takes runs as they are, and sweep.repeat=all makes them anew; say one")
    if cfg.sweep.until is not None and cfg.study is None:
        raise UsageError(f"sweep.until={cfg.sweep.until} is of a study, whose claims are decided; give experiment=NAME")
    most = cfg.sweep.max_failures
    if most is not None and (not isinstance(most, int) or most < 1):
        raise UsageError(f"sweep.max_failures={most} must be a whole number of at least 1, or null")
