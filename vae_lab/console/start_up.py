"""What every command needs of the process it starts in."""

import os
import sys

from vae_lab.errors import UsageError


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
