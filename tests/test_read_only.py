"""A store that can be read and not written to, as an archive is: reported, compared and brought back."""

import importlib
import shutil
import sqlite3
import subprocess
from contextlib import closing

import numpy as np
import pytest
from in_process import train

from vae_lab.errors import UsageError
from vae_lab.run.loaded import load_run
from vae_lab.tracking.records import metric_history, read_run, runs_with_tag, whole_id
from vae_lab.tracking.store import open_store

SWEEP = (
    "-m",
    "seed=0,1",
    "encoder.hidden=[8]",
    "decoder.hidden=[8]",
    "latent_size=2",
    "training.jit=false",
    "training.epochs=2",
    "evaluation.importance_samples=2",
    "evaluation.images_every=0",
    "evaluation.pictures=false",
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The home of a sweep, which even root cannot write to."""
    home, original = tmp_path_factory.mktemp("archive"), tmp_path_factory.mktemp("original") / "home"
    assert train(home, *SWEEP) == 0
    shutil.copytree(home, original, ignore=shutil.ignore_patterns("mlflow.db*"))
    name = "outputs/mlflow.db"  # which this process has open: SQLite copies it, with what is still in its log
    with closing(sqlite3.connect(home / name)) as there, closing(sqlite3.connect(original / name)) as copy:
        there.backup(copy)
    assert [path.name for path in (original / "outputs").glob("mlflow.db*")] == ["mlflow.db"]
    if subprocess.run(["mount", "--bind", str(original), str(home)], capture_output=True).returncode:
        pytest.skip("a folder that nobody can write to takes root that may mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(home)], check=True)
        yield home
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.fixture
def uri(archive):
    return f"sqlite:///{archive}/outputs/mlflow.db"


def test_it_is_read_as_it_is(archive, uri):
    store = open_store(uri)
    jobs = runs_with_tag(store, "vae_lab.kind", "run")
    assert [job.status for job in jobs] == ["FINISHED"] * 2
    assert read_run(store, jobs[0].run_id) == jobs[0]
    assert whole_id(store, jobs[0].run_id[:12]) == jobs[0].run_id
    assert list(metric_history(store, [jobs[0].run_id], "running/elbo")[jobs[0].run_id]) == [1, 2]
    assert not list((archive / "outputs").glob("mlflow.db-*"))
    with pytest.raises(UsageError, match="nope is not in"):
        read_run(store, "nope")
    with pytest.raises(UsageError, match=r"experiment_name=nope is not in"):
        open_store(uri, "nope", existing=True)


def test_its_runs_come_back(uri):
    (job, _) = runs_with_tag(open_store(uri), "vae_lab.kind", "run")
    run = load_run(job.run_id, tracking_uri=uri)
    found = run.metrics()
    np.testing.assert_allclose(found["test/elbo"], job.metrics["test/elbo"], rtol=1e-6)


def test_it_is_reported_into_another_place(uri, tmp_path, capsys):
    (sweep,) = runs_with_tag(open_store(uri), "vae_lab.kind", "sweep")
    report = importlib.import_module("vae_lab.commands.report").main
    words = [f"sweep={sweep.run_id}", f"tracking.uri={uri}"]
    assert report([*words, f"out={tmp_path / 'report'}", f"export={tmp_path / 'study.zip'}"]) == 0
    assert {"page.html", "runs.csv"} <= {path.name for path in (tmp_path / "report").iterdir()}
    assert (tmp_path / "study.zip").stat().st_size > 1000
    assert "test/elbo" in capsys.readouterr().out


def test_what_would_write_is_refused_in_a_line(archive, uri, capsys):
    (job, _) = runs_with_tag(open_store(uri), "vae_lab.kind", "run")
    with pytest.raises(UsageError, match=r"^tracking.uri=[^\n]* cannot be written to, and this would write"):
        open_store(uri, "vae_lab", existing=True).client.set_tag(job.run_id, "a", "b")
    with pytest.raises(UsageError, match=r"^tracking.uri=[^\n]* cannot be opened \([^\n]*; name a writable place"):
        open_store(uri, "vae_lab")
