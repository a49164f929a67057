"""One job, alone or of a sweep: what Hydra calls. It does what is missing, and nothing twice."""

import gc
import json
import logging
import math
import pickle
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vae_lab.config import compose
from vae_lab.config.checks import check
from vae_lab.config.overrides import check_overrides
from vae_lab.console.plan_table import show_plan, show_run
from vae_lab.console.progress import Progress
from vae_lab.errors import Pruned, UsageError
from vae_lab.run.checkpoint import checkpoints_of
from vae_lab.run.device import take_gpu
from vae_lab.run.lock import Claim, Claimed, claims_folder
from vae_lab.search.pruning import reporting
from vae_lab.study.identity import AXES, hashes_of
from vae_lab.tracking.records import RunRecord, failures_since, runs_so_far, runs_tagged
from vae_lab.tracking.store import Store, open_store
from vae_lab.tracking.tracked_run import is_worked_on

LONGEST_NAME = 100
# A job that took its process down this often (out of memory, most often) is not tried again in a sweep.
MOST_ATTEMPTS = 3


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
    told = [
        entry for entry in overrides if not entry.startswith(("seed=", "sweep.", "hydra.", "tracking.", "data.dir"))
    ]
    told.sort(key=lambda entry: "." in entry.partition("=")[0])
    shown = list(told)
    while len("-".join(shown)) > LONGEST_NAME:
        shown.pop()
    rest = [f"and {len(told) - len(shown)} more"] if len(shown) < len(told) else []
    return "-".join([*shown, *rest, f"s{seed}"])


def run_job(cfg: Any, overrides: list[str], choices: Mapping[str, str | None]) -> float:
    """Brings one configuration to a finished run; returns its test ELBO, which sweepers maximize.

    A run of the same training and evaluation that has finished is not done again, unless `sweep.repeat=all`; one that
    was cut off goes on from its last checkpoint, inside the same MLflow run.

    Raises:
      UsageError: before any work, where the configuration cannot run.
      Claimed: where another process works on the job.
      Skipped: where the sweep has failed too often, or the job has taken down its process too often.
    """
    check_overrides(overrides, cfg)
    check(cfg)
    check_sweep(cfg)
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # a worker that is told to stop
    tags = job_tags(cfg, overrides, choices) | hashes_of(compose.plain(cfg))
    name = cfg.sweep.run_name or single_name(overrides, cfg.seed)
    if cfg.sweep.plan:  # a sweep shows its own, and starts no job
        evaluations = [tags["vae_lab.evaluation"]]
        (record,) = runs_so_far(cfg.tracking.uri, cfg.tracking.experiment_name, evaluations)
        show_plan([(name, cfg.training.epochs, record)])
        return math.nan
    store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
    progress = Progress(name, cfg.sweep.number, cfg.sweep.total, cfg.training.epochs, cfg.sweep.started)
    with Claim(claims_folder(cfg.tracking.uri, cfg.paths.outputs), tags["vae_lab.evaluation"]):
        known = runs_tagged(store, "vae_lab.evaluation", tags["vae_lab.evaluation"])
        if cfg.sweep.repeat == "missing" and (done := [record for record in known if record.status == "FINISHED"]):
            progress.done_before(done[-1].metrics)
            if cfg.sweep.parent is None:
                show_run(store, done[-1].run_id)
            return done[-1].metrics["test/elbo"]
        stop_after_failures(cfg, store)
        begun = None if cfg.sweep.repeat == "all" else unfinished(known, has_checkpoint(cfg, tags))
        tags["vae_lab.attempts"] = str(attempts(cfg, begun))
        progress.starts(begun is not None)
        value = work(cfg, name, tags, progress, begun, store)
    if cfg.sweep.parent is None:
        show_run(store, runs_tagged(store, "vae_lab.evaluation", tags["vae_lab.evaluation"])[-1].run_id)
    return value


def work(cfg: Any, name: str, tags: dict[str, str], progress: Progress, begun: RunRecord | None, store: Store) -> float:
    """Trains and evaluates, or only evaluates where the same training has finished."""
    # TensorFlow warns of retracing where jobs of other structures call functions of the same name.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if cfg.sweep.total > 1:
        take_gpu(claims_folder(cfg.tracking.uri, cfg.paths.outputs))
    gc.disable()  # it would search half a million new objects for garbage again and again: a quarter of the time
    try:
        from vae_lab.run.run import evaluate_again, run  # imports TensorFlow: not before the checks are over
    finally:
        gc.enable()

    try:
        trained = runs_tagged(store, "vae_lab.training", tags["vae_lab.training"])
        trained = [record for record in trained if record.status == "FINISHED" and "vae_lab.epoch" in record.tags]
        run_id = begun.run_id if begun else None
        if trained and cfg.sweep.repeat == "missing" and not (begun and has_checkpoint(cfg, tags)):
            metrics = evaluate_again(cfg, name, tags, trained[-1], run_id)
        else:
            metrics = run(cfg, name, tags, reporting(cfg, progress), run_id)
    except Pruned:
        return math.nan
    except BaseException as error:
        progress.failed(error)
        if isinstance(error, Exception) and not can_be_sent(error):
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise
    progress.finished(metrics)
    return metrics["test/elbo"]


def can_be_sent(error: Exception) -> bool:
    """Whether an exception reaches the process that launched this one; TensorFlow's do not."""
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # whatever the error's own class raises when it is taken apart or built again
        return False


def has_checkpoint(cfg: Any, tags: Mapping[str, str]) -> bool:
    """Whether there is something to go on from."""
    return bool(checkpoints_of(cfg, tags).files())


def unfinished(known: list[RunRecord], has_checkpoint: bool) -> RunRecord | None:
    """The newest run that was cut off; one that failed only where it has left a checkpoint.

    Raises:
      Claimed: where another machine works on it.
    """
    if any(record.status == "RUNNING" and is_worked_on(record.tags) for record in known):
        raise Claimed("another machine works on this job")
    statuses = ("RUNNING", "KILLED", "FAILED") if has_checkpoint else ("RUNNING", "KILLED")
    begun = [record for record in known if record.status in statuses and "vae_lab.pruned" not in record.tags]
    return begun[-1] if begun else None


def attempts(cfg: Any, begun: RunRecord | None) -> int:
    """How often this start of the sweep has begun the job, this time included.

    Raises:
      Skipped: where the job's process has died under it too often, out of memory most likely.
    """
    if begun is None or begun.status != "RUNNING" or begun.tags.get("vae_lab.sweep_started") != str(cfg.sweep.started):
        return 1
    times = int(begun.tags["vae_lab.attempts"])
    if times >= MOST_ATTEMPTS:
        raise Skipped(f"its process has died {times} times (out of memory?); its run is {begun.run_id}")
    return times + 1


def stop_after_failures(cfg: Any, store: Store) -> None:
    """Raises Skipped where `sweep.max_failures` jobs of this sweep have failed since it was started."""
    if cfg.sweep.max_failures is None or cfg.sweep.parent is None:
        return
    failed = failures_since(store, cfg.sweep.parent, cfg.sweep.started)
    if failed >= cfg.sweep.max_failures:
        raise Skipped(f"{failed} jobs have failed, and sweep.max_failures={cfg.sweep.max_failures}")


def check_sweep(cfg: Any) -> None:
    """Raises UsageError where a setting of the sweep is none."""
    if cfg.sweep.repeat not in ("missing", "all"):
        raise UsageError(f"sweep.repeat={cfg.sweep.repeat} must be missing or all")
    most = cfg.sweep.max_failures
    if most is not None and (not isinstance(most, int) or most < 1):
        raise UsageError(f"sweep.max_failures={most} must be a whole number of at least 1, or null")
