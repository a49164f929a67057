"""`scripts/tracking_server.sh` in a process of its own, for as long as a benchmark or a check on services needs it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SECONDS_TO_START = 900  # beside other work
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the environment names


class BrokenServer(RuntimeError):
    """A server did not start; the message says why."""


@contextmanager
def tracking_server(folder: Path, port: int) -> Iterator[subprocess.Popen]:
    """An MLflow server on PostgreSQL that answers on a port of this machine, all that it keeps in a folder.

    Raises:
      BrokenServer: where it cannot be started.
    """
    command = [str(CHECKOUT / "scripts" / "tracking_server.sh"), str(folder), "--port", str(port)]
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            given_up = time.monotonic() + SECONDS_TO_START
            while not answers(port):
                if process.poll() is not None:
                    raise BrokenServer(process.stderr.read().strip() or (folder / "mlflow.log").read_text()[-3000:])
                if time.monotonic() > given_up:
                    raise BrokenServer(f"it does not answer after {SECONDS_TO_START} s")
                time.sleep(0.2)
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether a server does on this machine."""
    try:
        DIRECT.open(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except OSError:
        return False
    return True
