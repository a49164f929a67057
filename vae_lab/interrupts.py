"""Ctrl-C, SIGTERM and a scheduler's warning, taken at a moment when a run can be put down safely."""

import os
import signal
import threading
from types import FrameType, TracebackType

STOPS = (signal.SIGINT, signal.SIGTERM)
# What schedulers send before they take a job's machine away (Slurm through submitit: SIGUSR2).
WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)


class Interrupts:
    """Inside its `with` block a signal only asks; whoever handled it before gets it at the next safe moment.

    That handler decides: Python's own and that of `scripts/train.py` end the process, submitit's lets SIGTERM pass and
    has the job requeued on SIGUSR2. A second Ctrl-C or SIGTERM acts at once. A warning that nobody handles is not
    taken, and outside the main thread, where Python takes no signals, nothing is.
    """

    def __init__(self) -> None:
        self.asked: int | None = None  # the signal that asked
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            taken = [*STOPS, *(number for number in WARNINGS if callable(signal.getsignal(number)))]
            self._before = {number: signal.signal(number, self._take) for number in taken}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None and number in STOPS:
            self.__exit__(None, None, None)
            os.kill(os.getpid(), number)
            return
        self.asked = number  # a warning after SIGTERM, as Slurm sends them, counts for both

    def stop_if_asked(self) -> None:
        """Hands on the signal that asked: by default KeyboardInterrupt, or SystemExit with code 128 + its number."""
        if self.asked is None:
            return
        number, self.asked = self.asked, None
        handler = self._before[number]
        if not callable(handler):
            raise SystemExit(128 + number)
        handler(number, None)
