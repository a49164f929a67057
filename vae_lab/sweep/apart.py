"""Jobs one after another in a process of their own, which is replaced before it has grown too large.

What TensorFlow has traced and compiled for a structure is never freed: 45 to 70 MB each, for as long as the process
lives. Where a sweep has many structures its own process therefore imports no TensorFlow; a child does the jobs, keeps
what it has compiled for the jobs of one structure, and is replaced between two jobs once it has grown enough.
(Workers of joblib's are replaced by joblib itself, in the same way.)
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import cloudpickle
import psutil
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals

MOST_STRUCTURES = 8  # that a sweep's own process compiles
MOST_GROWTH = 500 * 10**6  # bytes, of a child since its first job


class Apart:
    """What launches jobs in a child process: lists of overrides -> Hydra's job returns.

    Args:
      launcher: of Hydra's; one that does its jobs one after another where it is called.
    """

    def __init__(self, launcher: Any):
        self._launcher = launcher
        self._child: ProcessPoolExecutor | None = None
        self._pid, self._first_size = 0, 0

    def __call__(self, batch: Sequence[Sequence[str]]) -> list[Any]:
        """Launches jobs; what stops this process is handed on to the child, and waited for."""
        returns: list[Any] = []
        try:
            for number, overrides in enumerate(batch):
                payload = cloudpickle.dumps((self._launcher, Singleton.get_state(), list(overrides), number))
                returns += self._started().submit(_launch, payload).result()
                self._replace_if_grown()
        except BaseException as error:
            if not isinstance(error, Exception):
                self._tell_to_stop()
            self._end()  # also a child that has died; the next batch has another
            raise
        return returns

    def _started(self) -> ProcessPoolExecutor:
        if self._child is None:
            context = multiprocessing.get_context("spawn")
            self._child = ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent)
            self._pid, self._first_size = self._child.submit(os.getpid).result(), 0
        return self._child

    def _replace_if_grown(self) -> None:
        size = psutil.Process(self._pid).memory_info().rss
        self._first_size = self._first_size or size
        if size - self._first_size >= MOST_GROWTH:
            self._end()

    def _tell_to_stop(self) -> None:
        if self._child is not None and psutil.pid_exists(self._pid):
            os.kill(self._pid, signal.SIGTERM)

    def _end(self) -> None:
        if self._child is not None:
            self._child.shutdown(cancel_futures=True)
            self._child = None


def _launch(payload: bytes) -> list[Any]:
    """One job, in the child."""
    launcher, state, overrides, number = cloudpickle.loads(payload)
    setup_globals()
    Singleton.set_state(state)
    returns = list(launcher.launch([overrides], initial_job_idx=number))
    for one in returns:  # nobody asks for them, and not all of Hydra's own classes that they are made of can be sent
        one.cfg = one.hydra_cfg = None
    return returns


def _end_with_parent() -> None:
    """Tells this process to stop when its parent has died: its job is then saved, as after SIGTERM.

    Ctrl-C is the parent's, which hands it on; twice, it would not be waited until the job is saved.
    """
    os.setpgrp()

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
