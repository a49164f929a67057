"""Nothing that goes wrong after training loses a sweep, and a home may have any name."""

import os
import re
import shlex

import pytest
from in_process import train
from sqlalchemy import make_url

from benchmarks.report_time import Size, fill
from vae_lab.config.compose import compose_unchecked
from vae_lab.study.jobs import checked_plan
from vae_lab.sweep import multirun
from vae_lab.tracking.records import read_run
from vae_lab.tracking.store import look_into, open_store

GIVEN = {"latent_size": ["2", "3"], "seed": ["0", "1"]}


@pytest.fixture
def finished(monkeypatch, capsys):
    """A sweep in this process whose jobs are all done: home -> train.py's exit code, what it printed, the store."""

    def run(home):
        home.mkdir(parents=True)
        monkeypatch.setenv("VAE_LAB_HOME", str(home))
        tracking = compose_unchecked().tracking
        store = open_store(tracking.uri, tracking.experiment_name, tracking.artifacts)
        jobs = checked_plan(None, GIVEN, lambda overrides: compose_unchecked(*overrides))
        size = Size(arms=2, seeds=2, epochs=3, images=5)
        fill(store, home / "outputs", size, [job.identity.evaluation for job in jobs])
        words = [f"{key}={','.join(values)}" for key, values in GIVEN.items()]
        capsys.readouterr()
        return train(home, "-m", *words), capsys.readouterr().out, look_into(tracking.uri, tracking.experiment_name)

    return run


def test_a_report_that_fails_leaves_the_sweep_finished_and_says_how_to_come_to_it(finished, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(multirun, "report_of", fails)
    code, printed, _ = finished(tmp_path / "home")
    assert code == 1
    sweep = re.search(r"^sweep: (\w+)$", printed, re.MULTILINE).group(1)
    assert "page: none, the report failed (OSError: No space left on device); all runs are kept: python" in printed
    assert f"scripts/report.py sweep={sweep}" in printed
    assert "4 of 4 jobs done" in printed
    store = open_store(f"sqlite:///{tmp_path}/home/outputs/mlflow.db", "vae_lab")
    record = read_run(store, sweep)
    assert (record.status, record.tags["vae_lab.jobs_finished"]) == ("FINISHED", "4")


@pytest.mark.parametrize("name", ["50%20 done", "why?", "größe & co; #1, it's"])
def test_a_home_may_have_any_name(finished, tmp_path, name):
    code, printed, store = finished(tmp_path / name)
    assert code == 0, printed
    page = re.search(r"^page: (.*)$", printed, re.MULTILINE).group(1)
    assert page.startswith(str(tmp_path / name))
    assert os.path.isfile(page)
    assert store is not None
    # MLflow makes the folder that it takes the URL for, and leaves it empty.
    others = [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_relative_to(tmp_path / name)]
    assert others == []
    (command,) = re.findall("--backend-store-uri (.*)", printed)
    assert make_url(shlex.split(command)[0]).database == f"{tmp_path}/{name}/outputs/mlflow.db"
