"""Ctrl-C, SIGTERM and a scheduler's warning, taken at a moment when a run can be put down safely."""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM)
# What schedulers send before they take a job's machine away (Slurm through submitit: SIGUSR2).
WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
# Where Slurm preempts a job it may send SIGTERM first: without the warning nobody would requeue the job.
SECONDS_TO_EXPLAIN = 2.0


class Interrupts:
    """Inside its `with` block the first Ctrl-C or SIGTERM only asks to stop; a second one acts at once.

    A scheduler's warning asks too, where somebody handles it; that handler gets it when the state is saved, and has
    the job requeued. Outside the main thread, where Python takes no signals, nothing is taken.
    """

    def __init__(self) -> None:
        self.asked: int | None = None  # the signal that asked
        self._before: dict[int, Any] = {}  # by signal, what handled it

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            taken = [*STOPS, *(number for number in WARNINGS if callable(signal.getsignal(number)))]
            self._before = {number: signal.signal(number, self._take) for number in taken}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None and number in STOPS:
            self.__exit__(None, None, None)
            os.kill(os.getpid(), number)
            return
        self.asked = number

    def stop_if_asked(self) -> None:
        """Raises KeyboardInterrupt after Ctrl-C, and SystemExit with code 143 after SIGTERM; hands on a warning."""
        if self.asked == signal.SIGTERM and len(self._before) > len(STOPS):
            time.sleep(SECONDS_TO_EXPLAIN)
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        if self.asked == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        if self.asked is not None:
            number, self.asked = self.asked, None
            self._before[number](number, None)
