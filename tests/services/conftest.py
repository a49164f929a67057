"""What the checks share: a home of their own, the training command, and what is skipped without its service."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from services.running import CHECKOUT


@pytest.fixture
def home():
    """A folder for one test's runs, open to other users: root's PostgreSQL is one. Its path is short, for sockets."""
    with tempfile.TemporaryDirectory(prefix="vae_lab-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def start(home):
    """Starts `scripts/train.py` with its output in a file; whatever is left of it at the end is stopped."""
    started = []

    def begin(*words):
        environment = os.environ | {"VAE_LAB_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
        with (home / "log.txt").open("a") as log:
            command = [sys.executable, str(CHECKOUT / "scripts" / "train.py"), *words]
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def train(home, start):
    """Runs `scripts/train.py` to its end and returns what it printed."""

    def run(*words, code=0):
        log = home / "log.txt"
        before = log.stat().st_size if log.exists() else 0
        found = start(*words).wait(timeout=900)
        printed = log.read_bytes()[before:].decode()
        assert found == code, printed[-5000:]
        return printed

    return run


@pytest.fixture
def needs_postgresql():
    if not shutil.which("pg_ctl") and not list(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")):
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg")
