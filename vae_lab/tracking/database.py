"""Many runs at once from a sqlite store, by SQL that only reads.

MLflow's client asks the database several times a run and once a metric's history; a thousand runs take minutes. The
tables and columns are those of MLflow 3; a test holds what is read here against what the client reads.
"""

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from vae_lab.errors import UsageError

LARGEST = 1.7976931348623157e308  # what MLflow stores for infinity

RUNS = """
SELECT run_uuid, runs.name, status, runs.experiment_id, start_time, end_time, artifact_uri
FROM runs JOIN experiments ON experiments.experiment_id = runs.experiment_id
WHERE runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'
AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value IN (?))
ORDER BY start_time, run_uuid
"""


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens a database so that nothing can be written to it.

    Raises:
      UsageError: when it is not there or cannot be read, also inside the `with` block.
    """
    try:
        if not path.is_file():
            raise UsageError(f"{path} is not there: it was deleted, or tracking.uri should name another place")
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{_mode(path.resolve())}", uri=True)) as database:
            yield database
    except (OSError, sqlite3.Error) as error:
        raise UsageError(f"{path} cannot be read ({error}); tracking.uri should name an MLflow database") from error


def _mode(path: Path) -> str:
    """How SQLite opens a file to read. With write-ahead logging it makes two files beside it, unless nothing changes.

    Where the folder cannot be written to, and no log lies there, nobody can be changing it.
    """
    unchanging = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return "mode=ro&immutable=1" if unchanging else "mode=ro"


def experiment_named(path: Path, name: str) -> tuple[str, str] | None:
    """Id and lifecycle stage of the MLflow experiment of that name; None where there is none, or nothing at all."""
    with reading(path) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
            return None
        query = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?"
        found = database.execute(query, (name,)).fetchone()
    return (str(found[0]), found[1]) if found else None


def number(value: float, is_nan: int = 0) -> float:
    """A metric as it was logged: MLflow keeps NaN as 0 with a flag, and infinity as the largest float."""
    if is_nan:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) >= LARGEST else value


def rows_of(database: sqlite3.Connection, query: str, ids: Sequence[str], *more: Any) -> Iterable[tuple]:
    """Rows of a query with `IN (?)` over run ids, or other texts: asked once, however many there are."""
    texts = "IN (SELECT value FROM json_each(?))"
    yield from database.execute(query.replace("IN (?)", texts), (*more, json.dumps(list(ids))))


def read_runs(path: Path, key: str, values: Sequence[str]) -> list[dict[str, Any]]:
    """The active runs whose tag has one of these values, first started first, as fields of a RunRecord."""
    with reading(path) as database:
        runs: dict[str, dict[str, Any]] = {}
        found = sorted(rows_of(database, RUNS, values, key), key=lambda row: (row[4], row[0]))
        for run_id, name, status, experiment_id, started, ended, artifacts in found:
            runs[run_id] = {"run_id": run_id, "name": name, "status": status, "experiment_id": str(experiment_id)}
            runs[run_id] |= {"started": started, "ended": ended, "artifacts": artifacts}
            runs[run_id] |= {"params": {}, "metrics": {}, "tags": {}}
        for table in ("params", "tags"):
            query = f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN (?)"
            for run_id, name, text in rows_of(database, query, list(runs)):
                runs[run_id][table][name] = text
        query = "SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE run_uuid IN (?)"
        for run_id, name, stored, is_nan in rows_of(database, query, list(runs)):
            runs[run_id]["metrics"][name] = number(stored, is_nan)
    return list(runs.values())


def read_history(path: Path, ids: Sequence[str], key: str) -> dict[str, dict[int, float]]:
    """A metric's values by step, by run; of a step that was logged twice the first value."""
    history: dict[str, dict[int, float]] = {}
    query = "SELECT run_uuid, step, value, is_nan FROM metrics WHERE key = ? AND run_uuid IN (?) ORDER BY timestamp"
    with reading(path) as database:
        for run_id, step, value, is_nan in rows_of(database, query, ids, key):
            history.setdefault(run_id, {}).setdefault(step, number(value, is_nan))
    return history
