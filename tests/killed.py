"""Trains as scripts/train.py does, and kills itself with SIGKILL at a moment that Python's audit events tell.

python tests/killed.py EVENT PATTERN COUNT [words of train.py]

The moment is the COUNT-th EVENT with an argument that PATTERN is found in, before it happens: the same on any machine.
"""

import os
import re
import runpy
import signal
import sys
from itertools import count
from pathlib import Path

EVENT, PATTERN, COUNT = sys.argv[1], re.compile(sys.argv[2]), int(sys.argv[3])
SEEN = count(1)


def kill(event, arguments):
    if event == EVENT and any(PATTERN.search(str(one)) for one in arguments) and next(SEEN) == COUNT:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.argv[1:] = sys.argv[4:]
    sys.addaudithook(kill)
    runpy.run_path(str(Path(__file__).resolve().parent.parent / "scripts" / "train.py"), run_name="__main__")
