"""A tracking server that is away for a while: what says so, and the one way to wait for it."""

import errno
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from vae_lab.errors import UsageError, told

log = logging.getLogger("vae_lab")

SECONDS_TO_WAIT = 600.0  # how long a request waits for a server that is away before it gives up
SECONDS_BETWEEN_TRIES = 5.0
FULL = (errno.ENOSPC, errno.EDQUOT)
# What a server's answers say of the server and not of the request: by MLflow's error code, and by HTTP status.
AWAY_CODES = ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED")
AWAY_STATUSES = (408, 429, 500, 502, 503, 504)
REFUSAL_CODES = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")
REFUSAL_STATUSES = (401, 403)

T = TypeVar("T")


class ServerAway(UsageError):
    """The tracking server has not answered, for as long as it was waited for."""


def is_server(uri: str) -> bool:
    """Whether runs are kept by a server, which can be away; not in a database file."""
    return uri.startswith(("http://", "https://"))


def is_away(uri: str, error: BaseException) -> bool:
    """Whether an error says that the tracking server does not answer, rather than that it refuses, or a full disk."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    if not is_server(uri):
        return False
    if isinstance(error, MlflowException):
        return error.error_code in AWAY_CODES
    if isinstance(error, RequestException):
        return error.response is None or error.response.status_code in AWAY_STATUSES
    return isinstance(error, (ConnectionError, TimeoutError))


def refusal(uri: str, error: BaseException) -> str | None:
    """The line for what no waiting mends: a permission, a full disk; None of other errors."""
    from mlflow.exceptions import MlflowException

    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in REFUSAL_STATUSES or (isinstance(error, MlflowException) and error.error_code in REFUSAL_CODES):
        return (
            f"tracking.uri={uri} refuses ({told(error)}); MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN, name who may write there"
        )
    if is_full(error) or "disk is full" in str(error):
        return f"tracking.uri={uri}: no space is left to write to ({told(error)}); make room and repeat the command"
    return None


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk has no space left."""
    return isinstance(error, OSError) and error.errno in FULL


def answers(client: Any) -> bool:
    """Whether the server, and the database behind it, answers."""
    try:
        client.search_experiments(max_results=1)
    except Exception as error:
        return not is_away(client.tracking_uri, error)
    return True


def patiently(client: Any, request: Callable[[], T], seconds: float | None = None) -> T:
    """Makes a request, again and again while the server is away.

    Some errors, such as those of a download, do not tell whether a server is away or has not what it was asked for:
    what fails twice while the server answers is no outage.

    Args:
      client: MLflow's own.
      request: what may be repeated.
      seconds: how long to wait; SECONDS_TO_WAIT without.

    Raises:
      ServerAway: when it has been away for too long.
      UsageError: when it refuses, or a disk is full.
    """
    uri = client.tracking_uri
    given_up = time.monotonic() + (SECONDS_TO_WAIT if seconds is None else seconds)
    waited = doubtful = False
    while True:
        try:
            result = request()
        except Exception as error:
            if not is_away(uri, error):
                if line := refusal(uri, error):
                    raise UsageError(line) from error
                raise
            if answers(client):
                if doubtful:
                    raise
                doubtful = True  # it may have come back in between
                continue
            doubtful = False
            if time.monotonic() > given_up:
                raise ServerAway(
                    f"tracking.uri={uri} has been away too long ({told(error)}); repeat the command when it is back, "
                    "and what is not yet there will be sent"
                ) from error
            if not waited:
                log.warning("tracking.uri=%s does not answer; results wait here until it does", uri)
            waited = True
            time.sleep(SECONDS_BETWEEN_TRIES)
            continue
        if waited:
            log.info("tracking.uri=%s answers again", uri)
        return result


class Patient:
    """MLflow's client of a server, each of whose requests waits while the server is away.

    Only for requests that may be made twice: all that read, and those that set a value.
    """

    def __init__(self, client: Any):
        self.at_once = client  # MLflow's own, which does not wait

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "at_once":
            raise AttributeError(name)
        found = getattr(self.at_once, name)
        return partial(self._ask, found) if callable(found) else found

    def _ask(self, request: Callable[..., Any], *given: Any, **options: Any) -> Any:
        return patiently(self.at_once, partial(request, *given, **options))
