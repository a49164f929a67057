"""The wheel alone in an environment of its own, and a project there: what a person has who installs the package."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CHECKOUT

pytestmark = pytest.mark.slow

UV = CHECKOUT / ".bootstrap" / "bin" / "uv"
# The project's experiment, made small; no epoch is long, so that a kill falls between checkpoints.
SMALL = {
    "latent_size: 8": "latent_size: 2\nencoder: {hidden: [8]}\ndecoder: {hidden: [8]}",
    "epochs: 10": "epochs: 30, jit: false, checkpoint_seconds: 0.0",
    "seeds: [0, 1]": "seeds: [0]",
}
QUICK = "evaluation: {importance_samples: 2, pictures: []}\n"
LOADED = """
import sys, vae_lab
assert "site-packages" in vae_lab.__file__, vae_lab.__file__
run = vae_lab.load_run(sys.argv[1])
print(run.epoch, type(run.model.prior).__module__, run.changed, run.metrics()["test/elbo"])
"""


def run(*words, cwd, env):
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The programs of an environment that holds what the lock names and the wheel, and no checkout."""
    if not UV.is_file():
        pytest.skip(f"needs {UV}, which `make env` gets")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist"]
    run(*build, cwd=CHECKOUT, env=os.environ)
    (wheel,) = (folder / "dist").glob("*.whl")
    env = os.environ | {"VIRTUAL_ENV": str(folder / "env"), "UV_PYTHON_DOWNLOADS": "never", "UV_OFFLINE": "1"}
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "env", cwd=folder, env=env)
    lock = CHECKOUT / "requirements.lock"
    sync = [UV, "pip", "sync", "--quiet", "--require-hashes", lock]
    if (got := subprocess.run(sync, cwd=folder, env=env, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"the packages of the lock are not in uv's cache: {got.stderr.strip()[:200]}")
    run(UV, "pip", "install", "--quiet", "--no-deps", wheel, cwd=folder, env=env)
    return folder / "env" / "bin"


@pytest.fixture(scope="module")
def project(installed, tmp_path_factory):
    """A new project, and the environment of a shell there: nothing of this checkout."""
    folder = tmp_path_factory.mktemp("project")
    env = {"PATH": f"{installed}:{os.environ['PATH']}", "HOME": str(Path.home())}
    run(installed / "vae-lab", "new", "my-toy", cwd=folder, env=env)
    file = folder / "my-toy" / "conf" / "experiment" / "student_or_mvn.yaml"
    text = file.read_text()
    for before, after in SMALL.items():
        assert before in text
        text = text.replace(before, after)
    file.write_text(text + QUICK)
    return folder / "my-toy", env


def killed_after_a_checkpoint(words, folder, env):
    """Starts a command and kills it, with all that it has started, once a checkpoint lies there."""
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    while not list(folder.glob("outputs/checkpoints/**/*.npz")):
        assert process.poll() is None, (folder / "log.txt").read_text()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def reproduced(installed, project):
    """What `reproduce` prints, of a study whose first start was killed."""
    folder, env = project
    command = installed / "vae-lab"
    killed_after_a_checkpoint([command, "train", "experiment=student_or_mvn"], folder, env)
    assert "2 dead runs closed, 0 run" in run(command, "doctor", cwd=folder, env=env)  # the sweep, and its first job
    return run(command, "reproduce", "student_or_mvn", cwd=folder, env=env)


def test_a_project_s_study_is_killed_and_goes_on_and_is_reported(installed, project, reproduced):
    folder, env = project
    assert "goes on" in reproduced
    assert "2 of 2 jobs done" in reproduced
    reported = run(installed / "vae-lab", "report", "experiment=student_or_mvn", "out=report", cwd=folder, env=env)
    assert "2 of 2 planned runs finished" in reported
    assert (folder / "report" / "page.html").is_file()
    assert set(counted(folder)) == {"mvn", "student"}


def test_a_project_s_run_is_loaded_from_elsewhere(installed, project, reproduced, tmp_path):
    folder, env = project
    run(installed / "vae-lab", "report", "experiment=student_or_mvn", "out=report", cwd=folder, env=env)
    student = counted(folder)["student"]
    elsewhere = env | {"VAE_LAB_PROJECT": str(folder)}
    printed = run(installed / "python", "-c", LOADED, student["run"], cwd=tmp_path, env=elsewhere)
    *_, line = printed.splitlines()
    assert line.startswith("30 my_toy.prior.student [] ")
    assert float(line.split()[-1]) == pytest.approx(float(student["test/elbo"]), rel=1e-6)


def test_a_project_s_own_test_passes(installed, project):
    folder, env = project
    assert "1 passed" in run(installed / "python", "-m", "pytest", "tests", cwd=folder, env=env)


def test_an_edit_of_a_project_s_prior_trains_its_run_alone(installed, project, reproduced):
    folder, env = project
    file = folder / "my_toy" / "prior" / "student.py"
    file.write_text(file.read_text().replace("0.0, scale", "0.1, scale"))
    printed = run(installed / "vae-lab", "train", "experiment=student_or_mvn", cwd=folder, env=env)
    assert "1 of them are done already, 1 to do" in printed
    assert re.findall(r"(\w+-s0)  done", printed) == ["student-s0"]


def counted(folder):
    """The runs that the report of a folder counts, by arm: what runs.csv says of each."""
    with (folder / "report" / "runs.csv").open(newline="") as file:
        return {row["arm"]: row for row in csv.DictReader(file) if row["state"] == "counted"}
