"""A sweep that is killed three times; `kill_sweep.py` does it as often as one likes, at random moments."""

import os
import runpy
import signal
import subprocess
import sys

import pytest
from conftest import CHECKOUT, CUT_OFF
from hydra.core.global_hydra import GlobalHydra
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


@pytest.fixture
def to_its_end(monkeypatch):
    """Runs the sweep in this process."""
    before = signal.getsignal(signal.SIGTERM)

    def run(home):
        monkeypatch.setenv("VAE_LAB_HOME", str(home))
        monkeypatch.setattr(sys, "argv", ["scripts/train.py", *SWEEP])
        GlobalHydra.instance().clear()
        runpy.run_path(str(CHECKOUT / "scripts" / "train.py"), run_name="train")["train"](list(SWEEP))

    yield run
    signal.signal(signal.SIGTERM, before)
    GlobalHydra.instance().clear()


@pytest.mark.slow
def test_a_sweep_that_is_killed_three_times_ends_as_one_that_was_left_alone(to_its_end, tmp_path, capfd):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    to_its_end(alone)
    for moment in MOMENTS.values():
        killed_at(killed, moment)
    capfd.readouterr()
    to_its_end(killed)
    assert "goes on" in capfd.readouterr().out  # it was taken up, and not begun anew
    one, other = runs(alone), runs(killed)
    assert len(one) == 2
    assert differences(one, other) == []
    assert not list((killed / "outputs").rglob("*.unfinished"))
