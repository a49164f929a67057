"""What every command needs of the process it starts in, and what TensorFlow says when it is imported."""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from vae_lab.errors import UsageError

STDERR = 2


def require_process() -> None:
    """Raises UsageError in a process in which no run can be made: without docstrings, or without a current folder."""
    if sys.flags.optimize > 1:
        raise UsageError(
            "python -OO and PYTHONOPTIMIZE=2 take docstrings away, without which TensorFlow does not start; use -O"
        )
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder was deleted; go to one that is there, and repeat the command") from error


@contextmanager
def quiet_start() -> Iterator[None]:
    """Within it TensorFlow is imported, without its notices of the machine and without searching for garbage.

    The notices are written before its logging is set up, past Python and past TF_CPP_MIN_LOG_LEVEL, so the file
    descriptor is led elsewhere. An error that leaves the block shows them.
    """
    if sys.stderr is None:  # a process that was started without one
        yield
        return
    gc.disable()  # it would search half a million new objects again and again: a quarter of the time
    sys.stderr.flush()
    before = os.dup(STDERR)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), STDERR)
        ended = False
        try:
            yield
            ended = True
        finally:
            sys.stderr.flush()
            os.dup2(before, STDERR)
            os.close(before)
            gc.enable()
            if not ended:
                notices.seek(0)
                os.write(STDERR, notices.read())
