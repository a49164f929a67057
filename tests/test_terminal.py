"""What a terminal shows while jobs run, and what it is spared."""

import io
import logging
import os
import pty
import re
import subprocess
import sys

import pytest
from conftest import CHECKOUT
from rich.console import Console

from vae_lab.console.bars import Bars
from vae_lab.quiet_start import quiet_start
from vae_lab.run.job import single_name

NOTICES = ("oneDNN", "absl::InitializeLog", "cudart_stub", "I0000")
BRIEF = ["encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "evaluation.importance_samples=5"]


def test_bars_say_where_job_and_sweep_stand():
    printed = io.StringIO()
    bars = Bars("[2/4] mvn-s1", 1, 4, 10, Console(file=printed, force_terminal=True, width=120))
    bars.begin()
    bars.look(5.0, "val elbo -23.46")
    bars.end()
    (job, sweep) = bars.bars.tasks
    assert (job.completed, job.total) == (5.0, 10)
    assert (sweep.completed, sweep.total) == (1.5, 4)
    for text in ("[2/4] mvn-s1", "epoch 5.0/10", "val elbo -23.46", "sweep", "1/4"):
        assert text in printed.getvalue()


def test_logged_lines_pass_the_bars_and_find_their_stream_again(capsys):
    handler = logging.StreamHandler(sys.stdout)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        bars = Bars("mvn-s0", 0, 1, 10, Console(file=sys.stdout, force_terminal=True, width=120))
        bars.begin()
        during = handler.stream
        root.error("a line")
        bars.end()
        assert during is not handler.stream
        assert handler.stream is sys.stdout
        assert "a line\n" in capsys.readouterr().out
    finally:
        root.removeHandler(handler)


def test_notices_at_the_start_are_kept_back(capfd):
    with quiet_start():
        os.write(2, b"I0000 oneDNN custom operations are on\n")
    os.write(2, b"and now\n")
    assert capfd.readouterr().err == "and now\n"


def import_of_what_is_broken():
    with quiet_start():
        os.write(2, b"libcuda.so.1: wrong ELF class\n")
        raise ImportError("no TensorFlow")


def test_notices_are_shown_where_the_start_fails(capfd):
    with pytest.raises(ImportError):
        import_of_what_is_broken()
    assert "wrong ELF class" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "s7"),
        (["training.epochs=3", "prior=mixture", "seed=7", "data.dir=/d"], "prior=mixture-epochs=3-s7"),
        (["encoder.hidden=[8]", "decoder.hidden=[8]"], "encoder.hidden=[8]-decoder.hidden=[8]-s7"),
        (["prior=mixture", "encoder.hidden=[500,500]", "decoder.hidden=[500,500]", "training.epochs=3"],
         "prior=mixture-encoder.hidden=[500,500]-and 2 more-s7"),
    ],
)  # fmt: skip
def test_runs_have_names_that_can_be_read(overrides, name):
    assert single_name(overrides, 7) == name


@pytest.mark.slow
def test_a_person_sees_bars_and_a_file_gets_lines(tmp_path):
    """Both from real runs: one on a pseudo-terminal, one into a pipe. Neither holds TensorFlow's notices."""
    command = [sys.executable, "scripts/train.py", "training.epochs=3", "training.jit=false", *BRIEF]
    environment = {"PATH": "/usr/bin:/bin", "VAE_LAB_HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "120"}
    ours, theirs = pty.openpty()
    shown = b""
    process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    done = subprocess.run([*command, "seed=1"], cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search("\N{BOX DRAWINGS HEAVY HORIZONTAL}", shown.decode())
    assert re.search(r"epoch \d\.\d/3", shown.decode())
    assert "\x1b[" not in done.stdout
    assert done.stderr == ""
    for notice in NOTICES:
        assert notice not in shown.decode()
        assert notice not in done.stdout
