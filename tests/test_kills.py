"""A sweep that is killed three times; `kill_sweep.py` does it as often as one likes, at random moments."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import CHECKOUT, CUT_OFF
from in_process import train
from kill_sweep import differences, runs

SWEEP = (
    "-m",
    "seed=0,1",
    *CUT_OFF,
    "evaluation.pictures=[training]",
)
CHECKPOINT = r"/checkpoints/.*\.npz$"
# What each start of the sweep does not live to do.
MOMENTS = {
    "the first job has written its third checkpoint, and not named it": ("os.rename", CHECKPOINT, 3),
    "the first job is evaluated, and its weights go up": ("os.rename", "/artifacts/.*model.weights.h5$", 1),
    "the second job removes an old checkpoint": ("os.remove", CHECKPOINT, 6),
}


def killed_at(home, moment):
    """Starts the sweep and waits until it is killed."""
    command = [sys.executable, str(CHECKOUT / "tests" / "killed.py"), *map(str, moment), *SWEEP]
    done = subprocess.run(command, env=os.environ | {"VAE_LAB_HOME": str(home)}, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr[-3000:]


@pytest.mark.slow
def test_a_sweep_that_is_killed_three_times_ends_as_one_that_was_left_alone(tmp_path, capfd):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert train(alone, *SWEEP) == 0
    for moment in MOMENTS.values():
        killed_at(killed, moment)
    capfd.readouterr()
    assert train(killed, *SWEEP) == 0
    assert "goes on" in capfd.readouterr().out  # it was taken up, and not begun anew
    one, other = runs(alone), runs(killed)
    assert len(one) == 2
    assert differences(one, other) == []
    assert not list((killed / "outputs").rglob("*.unfinished"))
