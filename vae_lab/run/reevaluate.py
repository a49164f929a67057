"""A finished run, evaluated with other settings: a job that has its weights already."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vae_lab.config import compose
from vae_lab.config.settings import OPTIONS, settings_of
from vae_lab.errors import UsageError
from vae_lab.run.job import run_job
from vae_lab.study.identity import differences, identity_of
from vae_lab.tracking.artifacts import CONFIG, fetch_artifact, identity_of_run
from vae_lab.tracking.records import RunRecord, read_run, run_of
from vae_lab.tracking.store import Store


def evaluate_run(store: Store, run_id: str, changes: Sequence[str]) -> RunRecord:
    """Evaluates a finished run's weights with other settings of the evaluation, as a run beside it.

    Args:
      store: where the run is, and where the new one goes.
      run_id: the run.
      changes: such as "evaluation.importance_samples=5000", "data.dir=/data".

    Returns:
      The new run, or the one that there was already.

    Raises:
      UsageError: when there is no such run, it has not finished, a change is none of the evaluation, or this code and
        these data would train another run.
    """
    record = read_run(store, run_id)
    with tempfile.TemporaryDirectory() as folder:
        text = fetch_artifact(store, run_id, CONFIG, folder).read_text()
        before = identity_of_run(store, record, Path(folder))
    if record.status != "FINISHED":
        raise UsageError(f"run={run_id} is a {record.status} run; name a FINISHED run")
    cfg = compose.evaluation_of(text, changes)
    here = compose.compose_unchecked()
    cfg.paths, cfg.sweep, cfg.tracking.uri = here.paths, here.sweep, store.uri
    cfg.sweep.arm, cfg.sweep.run_name = record.tags["vae_lab.arm"], f"{record.name} again"
    identity = identity_of(settings_of(cfg))
    if identity.training != record.tags["vae_lab.training"]:
        told = differences(before, identity) if before else ["it kept no record of its own"]
        trained = [word for word in told if not word.startswith("evaluation.")]
        raise UsageError(
            f"run={run_id} was trained by other code or on other data than there are here "
            f"({'; '.join(trained)}); evaluate it with those, or repeat its training"
        )
    choices = {axis: record.tags.get(f"option.{axis}") for axis in OPTIONS}
    choices["experiment"] = record.tags.get("vae_lab.experiment")
    changed = {change.partition("=")[0] for change in changes}
    kept = [word for word in json.loads(record.tags["vae_lab.overrides"]) if word.partition("=")[0] not in changed]
    run_job(cfg, [*kept, *changes], choices)
    made = run_of(Store(store.client, record.experiment_id, store.uri), identity.evaluation)
    assert made is not None, "the job has just made it"
    return made
