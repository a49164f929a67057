"""One job, alone or of a sweep: what Hydra calls."""

import json
from collections.abc import Mapping
from typing import Any

from vae_lab.checks import check
from vae_lab.sweep.progress import Progress
from vae_lab.tracking.store import open_store

LONGEST_NAME = 100

AXES = (
    "data",
    "binarization",
    "encoder",
    "posterior",
    "decoder",
    "likelihood",
    "prior",
    "estimator",
)


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
    if cfg.sweep.parent is not None:
        tags["vae_lab.sweep"] = cfg.sweep.parent
    return tags


def single_name(overrides: list[str], seed: int) -> str:
    """A run's name by its overrides: the chosen options, then settings as long as the name can be read."""
    told = [
        entry for entry in overrides if not entry.startswith(("seed=", "sweep.", "hydra.", "tracking.", "data.dir"))
    ]
    told.sort(key=lambda entry: "." in entry.partition("=")[0])
    while len("-".join(told)) > LONGEST_NAME:
        told.pop()
    return "-".join([*told, f"s{seed}"])


def run_job(cfg: Any, number: int, overrides: list[str], choices: Mapping[str, str | None]) -> float:
    """Checks, trains and evaluates one configuration; returns its test ELBO, which sweepers maximize.

    Raises:
      UsageError: before any work, where the configuration cannot run.
    """
    check(cfg)
    name = cfg.sweep.run_name or single_name(overrides, cfg.seed)
    open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
    progress = Progress(name, number, cfg.sweep.total, cfg.training.epochs, cfg.sweep.started)
    from vae_lab.run import run  # imports TensorFlow: not before the checks are over

    try:
        metrics = run(cfg, name, job_tags(cfg, overrides, choices), progress)
    except BaseException as error:
        progress.failed(error)
        raise
    progress.finished(metrics)
    return metrics["test/elbo"]
