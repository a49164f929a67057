"""A study on digits until it is decided: left alone, and killed in the middle and repeated."""

import csv
import os
import signal
import subprocess
import sys

import pytest
from mutations import copy_of_the_product
from test_sequential import recomputed

STUDY = """# @package _global_
# Twelve epochs against two, and twelve against themselves compiled by XLA, which draws other noise of the same kind.
hydra: {mode: MULTIRUN}

study:
  question: Do twelve epochs beat two, and does XLA change anything?
  arms:
    brief: {training.epochs: 2}
    long: {training.epochs: 12}
    compiled: {training.epochs: 12, training.jit: true}
  seeds: [0, 1, 2]
  metric: test/elbo
  expected:
    - {difference: [long, brief], between: [0, null], source: a guess, mark: C}
    - {difference: [compiled, long], between: [0, null], source: a guess, mark: C}
    - {difference: [compiled, long], between: [-2, 2], source: a guess, mark: C}
    - {arm: brief, metric: test/active_units, value: 5, tolerance: 3, source: a guess, mark: C}

latent_size: 8
encoder: {hidden: [16]}
decoder: {hidden: [16]}
training: {jit: false}
evaluation: {importance_samples: 2, images_every: 0, pictures: false}
"""
COMMAND = ["experiment=until", "sweep.until=decided", "sweep.max_seeds=7"]


def environment(folder, home):
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "VAE_LAB_HOME": str(home)} | threads


def script(folder, home, *words, code=0):
    done = subprocess.run(
        [sys.executable, f"scripts/{words[0]}.py", *words[1:]],
        cwd=folder, env=environment(folder, home), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def killed_after(line, folder, home):
    """Starts the sweep, kills it once it has begun a job after it printed a line."""
    process = subprocess.Popen(
        [sys.executable, "scripts/train.py", *COMMAND],
        cwd=folder, env=environment(folder, home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    seen = []
    for text in process.stdout:
        seen.append(text)
        if any(line in one for one in seen[:-1]) and "  done in " in text:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return "".join(seen)


def rows(home):
    """What the page's sequential part is made of, by claim."""
    with (home / "outputs" / "reports" / "until" / "sequences.csv").open() as file:
        found = {}
        for row in csv.DictReader(file):
            found.setdefault((row["arms"], row["bound low"]), []).append(row)
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The study, run until it is decided: the product with it, where its runs are, and what it printed."""
    folder, home = tmp_path_factory.mktemp("product"), tmp_path_factory.mktemp("alone")
    copy_of_the_product(folder)
    (folder / "conf" / "experiment" / "until.yaml").write_text(STUDY)
    return folder, home, script(folder, home, "train", *COMMAND)


@pytest.mark.slow
def test_the_real_difference_ends_early_and_the_null_one_inside_its_bounds_or_at_the_limit(alone):
    _, home, printed = alone
    real, null, same, count = rows(home).values()
    assert {row["alpha"] for row in real + null + same + count} == {str(0.05 / 4)}
    assert real[-1]["state"] == same[-1]["state"] == "met"
    assert len(real) < 7
    assert null[-1]["state"] == "open"
    assert [row["seed"] for row in null] == list("0123456")
    assert "no more seeds: sweep.max_seeds=7 is reached" in printed
    for course in (real, null, same):
        for end in range(1, len(course) + 1):
            recomputed(course[:end])


@pytest.mark.slow
def test_killed_and_repeated_it_comes_to_the_same_seeds_and_verdicts(alone, tmp_path):
    folder, home, _ = alone
    printed = killed_after("seed 3 of", folder, tmp_path)
    assert "seed 3 of brief, long, compiled: 4 of 4 claims are open" in printed
    plan = script(folder, tmp_path, "train", *COMMAND, "sweep.plan=true")
    assert "next seed 3 of" in plan
    assert "as finished runs took; up to sweep.max_seeds=7 at most 4 such seeds" in plan
    script(folder, tmp_path, "train", *COMMAND, "hydra/launcher=workers", "hydra.launcher.n_jobs=2")  # not as before
    assert rows(tmp_path) == rows(home)
    assert "no more seeds" in script(folder, tmp_path, "train", *COMMAND, "sweep.plan=true")


@pytest.mark.slow
def test_every_report_counts_the_added_seeds_and_tells_no_p_value_of_them(alone, tmp_path):
    folder, home, _ = alone
    of_sweep = rows(home)
    printed = script(folder, home, "report", "experiment=until", f"export={tmp_path}/out")
    assert rows(home) == of_sweep
    assert "met by" in printed
    with (tmp_path / "out" / "differences.csv").open() as file:
        assert {row["seeds p"] for row in csv.DictReader(file)} == {"nan"}
    page = (tmp_path / "out" / "page.html").read_text()
    assert "Seeds until it is decided" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep.max_seeds=3"], "sweep.max_seeds=3 must be above the 3 seeds that the study has itself"),
        (["sweep.until=soon"], "sweep.until=soon must be decided, or null"),
        (["sweep.drop=worst"], "sweep.drop=worst must be lost, or null"),
        (["sweep.budget_hours=0"], "sweep.budget_hours=0 must be a number above 0, or null"),
        (["sweep.repeat=all"], "sweep.until=decided adds to what is there, and sweep.repeat=all makes it anew"),
        (["training.epochs=3", "seed=0"], "are the same run"),
        (["latent_size=3"], "the claims of experiment=until are of its own settings, and latent_size=3 changes them"),
    ],
)
def test_what_cannot_be_decided_is_refused_before_work(alone, words, message):
    folder, home, _ = alone
    given = [word for word in COMMAND if word.partition("=")[0] not in {one.partition("=")[0] for one in words}]
    assert message in script(folder, home, "train", *given, *words, code=2)
