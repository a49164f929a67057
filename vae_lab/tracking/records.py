"""Reading runs back."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vae_lab.errors import UsageError
from vae_lab.tracking.run import PARENT_TAG
from vae_lab.tracking.store import Store


@dataclass(frozen=True)
class RunRecord:
    """What a run left in the store; of each metric its last value."""

    run_id: str
    name: str
    status: str
    seconds: float  # from its start to its end, or to now
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def runs_tagged(store: Store, tag: str, value: str) -> list[RunRecord]:
    """The runs of the store's experiment that have a tag, first started first."""
    return _search(store, f"tags.`{tag}` = '{value}'")


def newest_finished(records: list[RunRecord]) -> RunRecord | None:
    """Of several runs of one job the newest that has finished, else the newest; None of none."""
    ordered = sorted(records, key=lambda record: record.status == "FINISHED")
    return ordered[-1] if ordered else None


def failures_since(store: Store, parent: str, since: float) -> int:
    """How many jobs of a sweep have failed since a moment (seconds since 1970)."""
    ended = f"attributes.end_time >= {int(since * 1000)}"
    return len(_search(store, f"tags.`{PARENT_TAG}` = '{parent}' and attributes.status = 'FAILED' and {ended}"))


def running(store: Store, parent: str | None = None) -> list[RunRecord]:
    """The runs that say they are RUNNING: all of them, or a sweep's jobs."""
    of_sweep = f" and tags.`{PARENT_TAG}` = '{parent}'" if parent else ""
    return _search(store, f"attributes.status = 'RUNNING'{of_sweep}")


def close_run(store: Store, run_id: str, status: str) -> None:
    """Gives a run that nobody works on its true status."""
    store.client.set_terminated(run_id, status=status)


def tag_run(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    """Sets tags of a run that is over."""
    for key, value in tags.items():
        store.client.set_tag(run_id, key, value)


def metric_at(store: Store, run_id: str, metric: str, step: int) -> float | None:
    """A metric's value at a step; None where the run has none there."""
    found = [point.value for point in store.client.get_metric_history(run_id, metric) if point.step == step]
    return found[-1] if found else None


def children(store: Store, parent: str) -> list[RunRecord]:
    """The jobs of a sweep, first started first."""
    return _search(store, f"tags.`{PARENT_TAG}` = '{parent}'")


def _search(store: Store, condition: str) -> list[RunRecord]:
    found, token = [], None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            filter_string=condition,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += [_record(run) for run in page]
        if not (token := page.token):
            return found


def read_run(store: Store, run_id: str) -> RunRecord:
    """One run.

    Raises:
      UsageError: when the store has no such run.
    """
    from mlflow.exceptions import MlflowException

    try:
        return _record(store.client.get_run(run_id))
    except MlflowException as error:
        raise UsageError(f"run={run_id} is not in {store.uri}; name another run or another tracking.uri") from error


def fetch_artifact(store: Store, run_id: str, artifact: str, folder: str) -> Path:
    """Copies an artifact (a file) of a run into a folder.

    Raises:
      UsageError: when the run has no such artifact.
    """
    from mlflow.exceptions import MlflowException

    try:
        return Path(store.client.download_artifacts(run_id, artifact, folder))
    except (MlflowException, OSError) as error:
        record = read_run(store, run_id)
        kind = (
            "a sweep, whose jobs are runs" if record.tags.get("vae_lab.kind") == "sweep" else f"a {record.status} run"
        )
        raise UsageError(f"run={run_id} has no artifact {artifact}: it is {kind}; name a FINISHED run") from error


def _record(run) -> RunRecord:
    return RunRecord(
        run.info.run_id,
        run.info.run_name,
        run.info.status,
        (run.info.end_time or time.time() * 1000) / 1000 - run.info.start_time / 1000,
        dict(run.data.params),
        dict(run.data.metrics),
        dict(run.data.tags),
    )
