"""The MLflow store: a database made once, and its client."""

import os
import shlex
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vae_lab.config.credentials import tracking_address
from vae_lab.errors import UsageError, told
from vae_lab.tracking import away, database

SQLITE = "sqlite:///"
SECONDS_FOR_THE_LOCK = 120

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run, over our own progress
# A run has its own way to wait for a server: MLflow's would stop the training for minutes, and makes a run twice.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@dataclass(frozen=True)
class Store:
    """An open MLflow store, and the experiment that new runs go to."""

    client: Any  # MLflow's, which waits for a server that is away; None or `Unwritable` where a database is only read
    experiment_id: str | None
    uri: str

    @property
    def at_once(self) -> Any:
        """MLflow's client, which does not wait for a server that is away."""
        return self.client.at_once if isinstance(self.client, away.Patient) else self.client

    @property
    def writable(self) -> bool:
        """Whether it can be written to."""
        return not isinstance(self.client, Unwritable)

    def ui_command(self) -> str:
        """The command that shows this store in a browser."""
        if self.uri.startswith(SQLITE):
            return f"mlflow ui --workers 1 --backend-store-uri {shlex.quote(as_url(self.uri))}"
        return f"open {shlex.quote(self.uri)}"


class Unwritable:
    """Stands for MLflow's client where a database, or its folder, cannot be written to: what only reads needs none."""

    def __init__(self, uri: str):
        self._uri = uri

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UsageError(
            f"tracking.uri={self._uri} cannot be written to, and this would write; copy it, and name the copy"
        )


def require_database(store: Store) -> None:
    """Raises FileNotFoundError where a sqlite database was deleted under its users: what they write goes nowhere."""
    path = database_path(store.uri)
    if path is not None and not path.is_file():
        raise FileNotFoundError(f"tracking.uri={store.uri} was deleted while the run was going on; start it again")


def database_path(uri: str) -> Path | None:
    """File of a sqlite URI, None for a server's."""
    return Path(uri.removeprefix(SQLITE)).expanduser().resolve() if uri.startswith(SQLITE) else None


def as_url(uri: str) -> str:
    """A URI as SQLAlchemy reads it: in the path of a sqlite file a percent sign or question mark is one.

    >>> as_url("sqlite:////tmp/50%20 done?/mlflow.db")
    'sqlite:////tmp/50%2520 done%3F/mlflow.db'
    """
    return uri.replace("%", "%25").replace("?", "%3F") if uri.startswith(SQLITE) else uri


def open_store(
    uri: str, experiment_name: str | None = None, artifacts: str | None = None, existing: bool = False
) -> Store:
    """A store as `_open_store` says; user and password of a server's address go into the environment, for MLflow."""
    return _open_store(tracking_address(uri), experiment_name, artifacts, existing)


@lru_cache(maxsize=8)
def _open_store(uri: str, experiment_name: str | None, artifacts: str | None, existing: bool) -> Store:
    """Opens a store, making the database (under a lock) and the experiment where they do not exist.

    Args:
      uri: "sqlite:///" and a path, or "http://host:port" of a server.
      experiment_name: the MLflow experiment of new runs; None to read only.
      artifacts: folder for the artifacts of a new experiment in a sqlite store; a server decides by itself.
      existing: whether to make nothing.

    Raises:
      UsageError: when the database cannot be made, the server does not answer or refuses, or nothing is there and
        must be.
    """
    path = database_path(uri)
    if path is None:
        if not away.is_server(uri):
            raise UsageError(f"tracking.uri={uri} must begin with sqlite:/// or http://")
        return _connect(uri, experiment_name, None, existing)
    if (existing or experiment_name is None) and not path.is_file():
        raise UsageError(f"tracking.uri={uri}: there is no such database")
    if (existing or experiment_name is None) and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return _read_only(path, experiment_name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=SECONDS_FOR_THE_LOCK):
            # Write-ahead logging lets several jobs write at once; MLflow leaves it off.
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            location = None if artifacts is None else Path(artifacts).expanduser().resolve().as_uri()
            return _connect(f"{SQLITE}{path}", experiment_name, location, existing)
    except Timeout:
        raise UsageError(
            f"tracking.uri={uri}: another process has held {path}.lock for {SECONDS_FOR_THE_LOCK} s; "
            "remove that file if no sweep is running"
        ) from None
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"tracking.uri={uri} cannot be opened ({error}); name a writable place") from error


def _read_only(path: Path, experiment_name: str | None) -> Store:
    """A database that nothing can be written to, neither into it nor beside it."""
    uri = f"{SQLITE}{path}"
    if experiment_name is None:
        return Store(Unwritable(uri), None, uri)
    found = database.experiment_named(path, experiment_name)
    if found is None:
        raise _nothing_there(uri, experiment_name)
    _require_active(found[1], experiment_name, uri)
    return Store(Unwritable(uri), found[0], uri)


def reopen_store(uri: str, experiment_name: str | None = None, artifacts: str | None = None) -> Store:
    """The store of a sweep that has begun, as `open_store` opens it; a server that is away is waited for."""
    given_up = time.monotonic() + away.SECONDS_TO_WAIT
    while True:
        try:
            return open_store(uri, experiment_name, artifacts)
        except away.ServerAway:
            if time.monotonic() > given_up:
                raise
            time.sleep(away.SECONDS_BETWEEN_TRIES)


def look_into(uri: str, experiment_name: str) -> Store | None:
    """A store to read runs from, as it is: nothing is made in it, and a database is read without MLflow.

    Returns:
      None where no run can be: there is no such database, or no such experiment in it.

    Raises:
      UsageError: when the database cannot be read, the server does not answer, or the experiment was deleted.
    """
    path = database_path(uri)
    if path is None:
        client = open_store(uri).client
        experiment = _experiment(client, uri, experiment_name)
        return Store(client, experiment.experiment_id, uri) if experiment else None
    found = database.experiment_named(path, experiment_name) if path.exists() else None
    if found is None:
        return None
    experiment_id, stage = found
    _require_active(stage, experiment_name, uri)
    return Store(None, experiment_id, uri)


def _experiment(client: Any, uri: str, experiment_name: str) -> Any:
    """MLflow's experiment of that name, None where there is none.

    Raises:
      UsageError: when the store refuses, or the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    try:
        experiment = client.get_experiment_by_name(experiment_name)
    except MlflowException as error:
        raise _unusable(uri, error) from error
    if experiment is not None:
        _require_active(experiment.lifecycle_stage, experiment_name, uri)
    return experiment


def _unusable(uri: str, error: Exception) -> UsageError:
    if away.is_away(uri, error):
        return away.ServerAway(
            f"tracking.uri={uri} does not answer ({told(error)}); start it with `mlflow server`, "
            "or leave tracking.uri out to use a local database"
        )
    return UsageError(away.refusal(uri, error) or f"tracking.uri={uri} cannot be used ({told(error)})")


def _nothing_there(uri: str, experiment_name: str) -> UsageError:
    return UsageError(f"tracking.experiment_name={experiment_name} is not in {uri}; nothing has run there yet")


def _require_active(stage: str, experiment_name: str, uri: str) -> None:
    if stage != "active":
        raise UsageError(
            f"tracking.experiment_name={experiment_name} was deleted in {uri}; restore it there or take another name"
        )


def _connect(uri: str, experiment_name: str | None, location: str | None, existing: bool) -> Store:
    import logging

    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    client = MlflowClient(tracking_uri=as_url(uri))
    kept = away.Patient(client) if away.is_server(uri) else client
    try:
        if experiment_name is None:
            client.search_experiments(max_results=1)
            return Store(kept, None, uri)
        experiment = _experiment(client, uri, experiment_name)
        if experiment is not None:
            return Store(kept, experiment.experiment_id, uri)
        if existing:
            raise _nothing_there(uri, experiment_name)
        return Store(kept, client.create_experiment(experiment_name, artifact_location=location), uri)
    except MlflowException as error:
        raise _unusable(uri, error) from error
