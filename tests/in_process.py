"""Commands in this process, which has TensorFlow and MLflow already."""

import runpy
import signal
import sys

import pytest
from absl.logging import get_absl_handler
from conftest import CHECKOUT
from hydra.core.global_hydra import GlobalHydra


def train(home, *words):
    """The exit code of scripts/train.py with these words, under this home."""
    before = signal.getsignal(signal.SIGTERM)
    # Hydra closes the handlers that there are, and absl's its stream unless it is the present sys.stderr: pytest's own.
    get_absl_handler().python_handler.stream = sys.stderr
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VAE_LAB_HOME", str(home))
            patch.setattr(sys, "argv", ["scripts/train.py", *words])
            GlobalHydra.instance().clear()
            runpy.run_path(str(CHECKOUT / "scripts" / "train.py"), run_name="__main__")
    except SystemExit as end:
        return end.code or 0
    finally:
        GlobalHydra.instance().clear()
        signal.signal(signal.SIGTERM, before)
    raise AssertionError("scripts/train.py says how it ended")
