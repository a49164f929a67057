"""Reading runs back."""

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
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def children(store: Store, parent: str) -> list[RunRecord]:
    """The jobs of a sweep, first started first."""
    found, token = [], None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            filter_string=f"tags.`{PARENT_TAG}` = '{parent}'",
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
        dict(run.data.params),
        dict(run.data.metrics),
        dict(run.data.tags),
    )
