"""TensorFlow's import, without what it says of the machine."""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


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
