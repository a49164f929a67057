"""The experiment files: each composes and can run, whole and short, and says where its numbers come from."""

import re
import subprocess
import sys

import pytest
import yaml
from conftest import CHECKOUT

from vae_lab import checks
from vae_lab.compose import compose_unchecked, plain
from vae_lab.identity import hashes_of
from vae_lab.sweep.checked import checked_plan
from vae_lab.tracking.records import children, read_run
from vae_lab.tracking.store import open_store

FOLDER = CHECKOUT / "conf" / "experiment"
EXPERIMENTS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
MARKS = {"S", "Q", "C", "M"}


def read(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def header(name):
    """The comments above the first setting, without their marks."""
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[1:first])


def data_of(name):
    """The data set that an experiment overrides."""
    return next((d["override /data"] for d in read(name).get("defaults", []) if "override /data" in d), "digits")


def jobs_of(name, **given):
    study = plain(compose_unchecked(f"experiment={name}").study)
    words = {"experiment": [name], **{key: [value] for key, value in given.items()}}
    return checked_plan(study, words, lambda overrides: compose_unchecked(*overrides))


@pytest.mark.parametrize("form", ["whole", "short"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_job_composes_and_can_run(name, form, monkeypatch):
    """Each arm at one seed; whether the data's files are at hand is not asked."""
    without_files = tuple(check for check in checks.CHECKS if check is not checks.check_files)
    assert len(without_files) == len(checks.CHECKS) - 1
    monkeypatch.setattr(checks, "CHECKS", without_files)
    short = {"short": "true"} if form == "short" else {}
    assert len(jobs_of(name, seed="0", **short)) == len(read(name)["study"]["arms"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_header_gives_command_and_cost(name):
    text = header(name)
    assert re.search(rf"^  (python scripts/train.py|make demo .*) experiment={name}\b", text, re.MULTILINE)
    assert re.search(r"^Cost: .*\b(second|minute|hour)s?\b", text, re.MULTILINE)
    assert read(name)["hydra"] == {"mode": "MULTIRUN"}
    assert read(name)["study"]["question"].endswith("?")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_expected_values_name_their_arms_source_and_mark(name):
    study = read(name)["study"]
    for entry in study.get("expected", []):
        arms = set(entry.get("difference", [entry.get("arm")]))
        assert arms <= set(study["arms"])
        assert entry["source"]
        assert entry["mark"] in MARKS
        assert re.search(rf"\({entry['mark']}\b", header(name))
        if "difference" in entry:
            lowest, highest = entry["between"]
            assert lowest is None or highest is None or lowest < highest
            assert len(arms) == 2
        else:
            assert entry["tolerance"] > 0
            assert ("test/" in entry["metric"] and entry["value"] < 0) or entry["metric"].startswith("running/")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_short_form_says_what_it_shrinks(name):
    short = read(name)["study"]["short"]
    assert short["training.epochs"] <= 20
    assert short.get("seeds", read(name)["study"]["seeds"]) == [0]


def test_short_is_no_part_of_a_run_s_identity():
    (job,) = jobs_of("pytorch_vae", short="true", seed="0")[:1]
    same = [override for override in job.overrides if override != "short=true"]
    long, short = (plain(compose_unchecked(*overrides)) for overrides in (same, job.overrides))
    assert (short["short"], long["short"]) == (True, False)
    assert hashes_of(short) == hashes_of(long)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient_estimators", "probabilistic_layers", "vampprior_fixed_mnist"])
def test_short_forms_run(name, tmp_path):
    """On digits, by the command: every job is finished and has the study's metric."""
    done = subprocess.run(
        [sys.executable, "scripts/train.py", f"experiment={name}", "short=true", "training.jit=false"],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "VAE_LAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    study = read(name)["study"]
    parent = re.search(r"^sweep: (\w+)$", done.stdout, re.MULTILINE).group(1)
    store = open_store(f"sqlite:///{tmp_path}/outputs/mlflow.db", "vae_lab")
    jobs = children(store, parent)
    assert read_run(store, parent).status == "FINISHED"
    assert [job.tags["vae_lab.arm"] for job in jobs] == list(study["arms"])
    assert all(study["metric"] in job.metrics and job.params["data.name"] == "digits" for job in jobs)
    assert "short" not in jobs[0].params
