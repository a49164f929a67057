"""Who works on a run, and whether they still do."""

import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import psutil

HEARTBEAT_TAG, HOST_TAG, PROCESS_TAG = "vae_lab.heartbeat", "vae_lab.host", "vae_lab.process"
LOCKS_TAG = "vae_lab.locks"  # which folder holds the lock of the job, where locks decide (vae_lab/run/lock.py)
SECONDS_BETWEEN_BEATS = 30.0
SECONDS_TO_BE_DEAD = 300.0  # ten beats


class Heartbeat:
    """Says every half minute that a run is worked on, whatever the process computes meanwhile.

    A beat that the server does not take is lost, and the next one is tried as usual.

    Args:
      client: MLflow's, which does not wait.
      run_id: the run.
    """

    def __init__(self, client: Any, run_id: str):
        self._client, self._run_id = client, run_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begins to beat; the run's own tags were the first beat."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; a beat that is under way is not waited for."""
        self._over.set()

    def _run(self) -> None:
        from mlflow.entities import RunTag

        while not self._over.wait(SECONDS_BETWEEN_BEATS):
            try:
                self._client.log_batch(self._run_id, tags=[RunTag(key, value) for key, value in beat().items()])
            except Exception:  # the run's own requests say what is wrong with the store
                continue


def beat() -> dict[str, str]:
    """Tags that say who works on a run, and that they did so just now."""
    return {HEARTBEAT_TAG: str(int(time.time())), HOST_TAG: socket.gethostname(), PROCESS_TAG: str(os.getpid())}


def is_worked_on(tags: Mapping[str, str], locks: str | None = None) -> bool:
    """Whether another machine works on a RUNNING run, by its heartbeat. Where a lock tells, it tells at once.

    Args:
      tags: the run's.
      locks: the folder of locks that decides here: that of a run which was begun there says whether it is alive,
        whatever the machine was called then.
    """
    if tags.get(HOST_TAG) == socket.gethostname() or (locks is not None and tags.get(LOCKS_TAG) == locks):
        return False
    return time.time() - float(tags.get(HEARTBEAT_TAG, 0)) < SECONDS_TO_BE_DEAD


def is_alive_here(tags: Mapping[str, str]) -> bool | None:
    """Whether the process that works on a run is alive, if it is one of this machine; else None."""
    if tags.get(HOST_TAG) != socket.gethostname():
        return None
    return psutil.pid_exists(int(tags.get(PROCESS_TAG, 0)))
