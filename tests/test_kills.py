"""A sweep that is killed three times; `kill_sweep.py` does it as often as one likes, at random."""

import os
import subprocess
import sys
import tempfile

import pytest
from conftest import CHECKOUT


@pytest.mark.slow
def test_a_sweep_that_is_killed_three_times_ends_as_one_that_was_left_alone():
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # its many checkpoints wait for no disk
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        command = [sys.executable, str(CHECKOUT / "tests" / "three_kills.py"), folder]
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.startswith("3 kills; 2 jobs, ")
    assert "0 differences" in done.stdout
