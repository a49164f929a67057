"""Ctrl-C and SIGTERM, taken at a moment when a run can be put down safely."""

import os
import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Inside its `with` block the first Ctrl-C or SIGTERM only asks to stop; a second one acts at once.

    Outside the main thread, where Python takes no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.asked: int | None = None  # the signal that asked
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal itself returned

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            self.__exit__(None, None, None)
            os.kill(os.getpid(), number)
        self.asked = number

    def stop_if_asked(self) -> None:
        """Raises KeyboardInterrupt after Ctrl-C, and SystemExit with code 143 after SIGTERM."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        if self.asked == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
