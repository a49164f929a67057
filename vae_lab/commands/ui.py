"""Opens MLflow's pages on the runs of this store, for this machine alone (127.0.0.1).

vae-lab ui
vae-lab ui port=5001 tracking.uri=sqlite:////path/mlflow.db
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys

from vae_lab.console.command import Words, command
from vae_lab.errors import UsageError

HOST = "127.0.0.1"
KEYS = ("port", "tracking.uri", "tracking.experiment_name")


def ui(words: Words) -> int:
    """Starts MLflow and prints the address; of a server that runs, prints its own."""
    from vae_lab.config.compose import compose_unchecked
    from vae_lab.tracking.store import open_store

    tracking = compose_unchecked().tracking
    uri = words.given.get("tracking.uri", tracking.uri)
    name = words.given.get("tracking.experiment_name", tracking.experiment_name)
    store = open_store(uri, name, existing=True)
    if uri.startswith(("http://", "https://")):
        print(address(uri.rstrip("/"), store.experiment_id))
        return 0
    port = free_port(words.given.get("port"))
    print(f"{address(f'http://{HOST}:{port}', store.experiment_id)}\n(Ctrl-C ends it)", flush=True)
    return serve(server(uri, port))


def serve(words: list[str]) -> int:
    """Runs a server until it ends, or this process is told to end: then with all that it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    process = subprocess.Popen(words, start_new_session=True)
    try:
        return process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def address(server: str, experiment_id: str | None) -> str:
    """Where the runs of an experiment are shown as those of models that are trained."""
    return f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


def server(uri: str, port: int) -> list[str]:
    """The command that serves a database to this machine."""
    start = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port)]
    return [*start, "--workers", "1", "--backend-store-uri", uri]


def free_port(asked: str | None) -> int:
    """The port that is asked for, or one that is free.

    Raises:
      UsageError: where it is none, or taken.
    """
    if asked is not None and not (asked.isdecimal() and 0 < int(asked) < 65536):
        raise UsageError(f"port={asked} must be a number from 1 to 65535, or left out for a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(asked or 0)))
        except OSError as error:
            raise UsageError(f"port={asked} cannot be had ({error}); leave it out for a free one") from None
        return probe.getsockname()[1]


main = command(ui, __doc__, KEYS)
