"""Processes that are idle between their turns, so that no framework's threads disturb another's."""

import importlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

# Threads that have just worked stay awake for a while and wait for more; the next turn is another's.
SECONDS_OF_REST = 0.3
SECONDS_TO_END = 10.0  # by itself, when it removes the files it has made


class BrokenWorker(RuntimeError):
    """A worker raised or died; the message is its traceback."""


@dataclass(frozen=True)
class Turn:
    """What a worker did in one turn."""

    result: Any
    seconds: float  # by the clock
    cpu_seconds: float  # of all threads


def _serve(connection: Connection, module: str, arguments: tuple) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it has started is put away
    try:
        work = importlib.import_module(module).build(*arguments)
        while (argument := connection.recv()) is not None:
            began, cpu = time.perf_counter(), time.process_time()
            result = work(argument)
            connection.send(Turn(result, time.perf_counter() - began, time.process_time() - cpu))
    except Exception:
        connection.send(traceback.format_exc())


class Worker:
    """A process that calls a module's `build(*arguments)` once, and what that returned in each turn."""

    def __init__(self, module: str, *arguments: Any):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # inherited
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process: Any = context.Process(target=_serve, args=(theirs, module, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: Any) -> None:
        with suppress(OSError):  # it has ended already
            self._connection.send(None)
        self._process.join(SECONDS_TO_END)
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()
        self._connection.close()

    def turn(self, argument: Any) -> Turn:
        """Calls the work, and returns when the process is idle again.

        Raises:
          BrokenWorker: when it could not be done.
        """
        try:
            self._connection.send(argument)
            answer = self._connection.recv()
        except (EOFError, BrokenPipeError):
            self._process.join()
            answer = f"the process ended with code {self._process.exitcode}"
        if not isinstance(answer, Turn):
            raise BrokenWorker(answer)
        time.sleep(SECONDS_OF_REST)
        return answer
