"""The MLflow store: made once, whoever comes first; statuses that are true."""

import multiprocessing
import os

import numpy as np
import pytest

from vae_lab.errors import UsageError
from vae_lab.tracking.artifacts import fetch_artifact
from vae_lab.tracking.database import read_runs
from vae_lab.tracking.records import children, read_run, run_of
from vae_lab.tracking.store import look_into, open_store
from vae_lab.tracking.tracked_run import TrackedRun


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return open_store(f"sqlite:///{folder}/mlflow.db", "tests", str(folder / "artifacts"))


def test_statuses_are_true_and_errors_are_kept(store, tmp_path):
    with TrackedRun(store, "good", {}) as good:
        good.metrics({"a": 1.0}, 0)
    bad = TrackedRun(store, "bad", {}, parent=good.run_id)
    bad.metrics({"a": 2.0}, 0)
    with pytest.raises(ZeroDivisionError), bad:
        raise ZeroDivisionError
    stopped = TrackedRun(store, "stopped", {}, parent=good.run_id)
    with pytest.raises(KeyboardInterrupt), stopped:
        raise KeyboardInterrupt
    assert [read_run(store, run.run_id).status for run in (good, bad, stopped)] == ["FINISHED", "FAILED", "KILLED"]
    assert read_run(store, bad.run_id).metrics == {"a": 2.0}
    assert "ZeroDivisionError" in fetch_artifact(store, bad.run_id, "error.txt", str(tmp_path)).read_text()
    assert [record.name for record in children(store, good.run_id)] == ["bad", "stopped"]


def test_many_metrics_and_params_are_all_written(store):
    with TrackedRun(store, "many", {}) as run:
        run.params({f"p{i}": "x" * 7000 for i in range(150)})
        for step in range(600):
            run.metrics({f"m{i}": step for i in range(4)}, step)
    record = read_run(store, run.run_id)
    assert len(record.params) == 150
    assert record.metrics == {f"m{i}": 599.0 for i in range(4)}
    assert [point.value for point in store.client.get_metric_history(run.run_id, "m0")] == list(range(600))


def test_an_unknown_run_and_an_unreachable_store_are_refused(store, tmp_path):
    with pytest.raises(UsageError, match="run=abc is not in"):
        read_run(store, "abc")
    with pytest.raises(UsageError, match=r"tracking.uri=http://127.0.0.1:9 does not answer"):
        open_store("http://127.0.0.1:9", "x")
    with pytest.raises(UsageError, match=r"tracking.uri=./mlruns must begin with"):
        open_store("./mlruns", "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path}/file/mlflow.db", "x")


def _log_one(uri):
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with TrackedRun(open_store(uri, "race"), "one", {}) as run:
        run.metrics({"a": 1.0}, 0)


@pytest.mark.slow
def test_four_processes_may_open_one_fresh_database_at_once(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_log_one, args=(uri,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0] * 4
    store = open_store(uri, "race")
    assert len(store.client.search_runs([store.experiment_id])) == 4


def test_frames_and_metrics_are_read_back_and_a_frame_is_there_once(store):
    frames = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    with TrackedRun(store, "frames", {}) as run:
        assert run.frames("prior_samples") == []
        run.image("prior_samples", frames[0], 10)
        run.image("prior_samples", frames[1], 2)
        run.image("reconstructions", frames[0], 3)
        run.metrics({"a": 1.0}, 2)
        run.metrics({"a": 3.0}, 1)
        run.flush()
        run.image("prior_samples", frames[2], 10)  # as a run that is resumed logs an epoch again
        run.metrics({"a": 2.0}, 4)
        found = run.frames("prior_samples")
        assert run.history("a") == [(1, 3.0), (2, 1.0), (4, 2.0)]
    assert [step for step, _ in found] == [2, 10]
    for (_, picture), frame in zip(found, [frames[1], frames[2]], strict=True):
        np.testing.assert_array_equal(picture, frame)


def test_a_database_that_is_not_there_is_named(store, tmp_path):
    with pytest.raises(UsageError, match=r"gone.db is not there: it was deleted"):
        read_runs(tmp_path / "gone.db", "vae_lab.kind", ["run"])


def test_looking_into_a_store_makes_nothing_and_sees_what_the_client_sees(store, tmp_path):
    empty = f"sqlite:///{tmp_path}/mlflow.db"
    assert look_into(empty, "tests") is None
    assert list(tmp_path.iterdir()) == []
    with TrackedRun(store, "one", {"vae_lab.evaluation": "e1"}) as run:
        run.metrics({"a": 1.0}, 0)
    seen = look_into(store.uri, "tests")
    assert run_of(seen, "e1") == read_run(store, run.run_id)
    assert run_of(seen, "e2") is None
    assert look_into(store.uri, "other") is None
    assert store.client.get_experiment_by_name("other") is None
    store.client.delete_experiment(store.client.create_experiment("gone"))
    with pytest.raises(UsageError, match=r"tracking\.experiment_name=gone was deleted"):
        look_into(store.uri, "gone")
    (tmp_path / "begun.db").touch()  # as it is for a moment while it is made
    assert look_into(f"sqlite:///{tmp_path}/begun.db", "tests") is None
    (tmp_path / "text.db").write_text("no database at all, and longer than the header of one: " * 20)
    with pytest.raises(UsageError, match=r"text\.db cannot be read \(file is not a database\)"):
        look_into(f"sqlite:///{tmp_path}/text.db", "tests")
