"""A metric's rows of many runs from a tracking server, a hundred runs a request.

MLflow's client asks once a run. Its server gives them in bulk to its own pages, which is what is asked here; a test
holds what comes of it against what the client reads.
"""

from collections.abc import Iterator, Sequence
from typing import Any

BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
RUNS_A_REQUEST, ROWS_A_REQUEST = 100, 25_000  # the most that the server takes, and gives

Row = tuple[str, int, int, float]  # run, milliseconds since 1970, step, value


def rows_of_runs(client: Any, uri: str, ids: Sequence[str], key: str) -> Iterator[Row]:
    """A metric's rows of each run, in no order; of a run that lacks it, none."""
    for start in range(0, len(ids), RUNS_A_REQUEST):
        yield from _rows(client, uri, list(ids[start : start + RUNS_A_REQUEST]), key)


def _rows(client: Any, uri: str, ids: list[str], key: str) -> Iterator[Row]:
    """The rows of no more runs than a request may name; fewer at once where they have more rows than it gives."""
    found = _in_bulk(uri, ids, key) if len(ids) > 1 else None
    if found is not None and len(found) < ROWS_A_REQUEST:
        for row in found:
            yield row["run_id"], int(row["timestamp"]), int(row["step"]), float(row["value"])
    elif len(ids) > 1 and found is not None:
        yield from _rows(client, uri, ids[: len(ids) // 2], key)
        yield from _rows(client, uri, ids[len(ids) // 2 :], key)
    else:
        for run_id in ids:
            for point in client.get_metric_history(run_id, key):
                yield run_id, point.timestamp, point.step, point.value


def _in_bulk(uri: str, ids: list[str], key: str) -> list[dict[str, Any]] | None:
    """What the server gives of them; None where it has no such service."""
    from mlflow.tracking._tracking_service.utils import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    query = [("metric_key", key), ("max_results", ROWS_A_REQUEST), *(("run_id", run_id) for run_id in ids)]
    answer = http_request(get_default_host_creds(uri), BULK, "GET", params=query)
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    return answer.json()["metrics"]
