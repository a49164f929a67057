"""Who is alive, what is refused, and what a full disk does: each by the real thing, without TensorFlow."""

import os
import subprocess
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pytest

from vae_lab.errors import UsageError
from vae_lab.run.checkpoint import Checkpoints
from vae_lab.run.lock import deciding_locks, locks_folder
from vae_lab.sweep.doctor import close_dead_runs
from vae_lab.tracking import heartbeat
from vae_lab.tracking.heartbeat import HEARTBEAT_TAG, HOST_TAG, LOCKS_TAG, SECONDS_TO_BE_DEAD, is_worked_on
from vae_lab.tracking.records import read_run
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return open_store(f"sqlite:///{folder}/mlflow.db", "faults", str(folder / "artifacts"))


def test_a_run_beats_while_it_computes_and_not_after(store, monkeypatch):
    monkeypatch.setattr(heartbeat, "SECONDS_BETWEEN_BEATS", 0.01)
    with TrackedRun(store, "beating", {HEARTBEAT_TAG: "0"}) as run:
        run.tag({HEARTBEAT_TAG: "0"})
        while read_run(store, run.run_id).tags[HEARTBEAT_TAG] == "0":  # as an evaluation, which writes nothing
            time.sleep(0.01)
        thread = run._heartbeat._thread
    thread.join()
    assert read_run(store, run.run_id).status == "FINISHED"


def test_a_silent_machine_is_dead_after_minutes():
    def of(age):
        return {HOST_TAG: "another machine", HEARTBEAT_TAG: str(int(time.time() - age))}

    assert SECONDS_TO_BE_DEAD <= 600
    assert is_worked_on(of(SECONDS_TO_BE_DEAD - 5))
    assert not is_worked_on(of(SECONDS_TO_BE_DEAD + 5))


def test_where_the_lock_decides_a_new_host_name_waits_for_no_heartbeat(store, tmp_path, monkeypatch):
    monkeypatch.setattr("vae_lab.run.lock.LOCAL", ("any",))
    monkeypatch.setattr("vae_lab.run.lock._file_system", lambda path: "any")
    locks = locks_folder(store.uri, str(tmp_path))
    name = deciding_locks(locks)
    assert name == deciding_locks(locks)
    assert name != deciding_locks(tmp_path / "others")
    runs = {}
    for where in (name, "of another disk"):
        tags = {"vae_lab.kind": "run", "vae_lab.training": where, LOCKS_TAG: where}
        runs[where] = TrackedRun(store, where, tags)
        runs[where].tag({HOST_TAG: "a container that is gone"})
    assert [record.run_id for record in close_dead_runs(store, locks)] == [runs[name].run_id]
    runs["of another disk"].finish("KILLED")


def test_a_lock_on_a_network_decides_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("vae_lab.run.lock._file_system", lambda path: "nfs4")
    assert deciding_locks(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_metrics_name_that_the_store_refuses_is_told_before_it_waits(store):
    run = TrackedRun(store, "names", {})
    run.metrics({"own/a": 1.0, "b-c d.e:f": 2.0}, 1)
    with pytest.raises(UsageError, match=r"the metric 'own/a\?' has a name that MLflow refuses"), run:
        run.metrics({"own/a?": 1.0}, 1)
    record = read_run(store, run.run_id)
    assert (record.status, record.metrics) == ("FAILED", {"own/a": 1.0, "b-c d.e:f": 2.0})
    for name in ("/a", "a/", "a//b", "../a", "a" * 251, ""):
        with pytest.raises(UsageError, match="refuses"):
            run.metrics({name: 1.0}, 1)


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses_is_told_as_one(status, monkeypatch):
    """It is asked through MLflow's client, with the credentials that this has; a refusal is no absence."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "somebody")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    asked = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers["Authorization"])
            self.send_error(status)

        do_POST = do_GET

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(UsageError, match=rf"^tracking.uri={uri} refuses \([^\n]*; MLFLOW_TRACKING_USERNAME"):
            open_store(uri, "x")
        server.shutdown()
    assert asked == ["Basic c29tZWJvZHk6c2VjcmV0"]


def test_a_checkpoint_of_another_run_is_kept_and_not_gone_on_from(tmp_path):
    Checkpoints(tmp_path / "a", "t").save({"x": np.ones(3)}, {"epoch": 1, "run_id": "a"})
    (tmp_path / "a").rename(tmp_path / "b")
    foreign = Checkpoints(tmp_path / "b", "t")
    assert foreign.latest() is None
    assert "refused is of another run, a; it is kept, and not gone on from" in foreign.refused[0]


def test_a_run_that_begins_anew_writes_no_row_twice(store):
    first = TrackedRun(store, "anew", {})
    first.metrics({"a": 1.0}, 1)
    first.metrics({"a": 2.0}, 2)
    first.flush()
    with TrackedRun(store, "anew", {}, run_id=first.run_id) as again:
        again.pass_over_rows_there()
        for step in (1, 2, 3):
            again.metrics({"a": float(step)}, step)
        assert again.history("a") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    points = store.client.get_metric_history(first.run_id, "a")
    assert sorted((point.step, point.value) for point in points) == [(1, 1.0), (2, 2.0), (3, 3.0)]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.getuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True
        ).returncode
    ):
        pytest.skip("a small disk takes root that may mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full_within_a_checkpoint_leaves_the_one_before(small_disk):
    checkpoints = Checkpoints(small_disk / "run", "t")
    checkpoints.save({"x": np.ones(1000)}, {"epoch": 1})
    noise = np.random.default_rng(0).normal(size=100_000)
    with pytest.raises(UsageError, match=r"^no space is left in .*run for a checkpoint [^\n]*make room and repeat"):
        checkpoints.save({"x": noise}, {"epoch": 2})
    assert [path.name for path in (small_disk / "run").iterdir()] == ["00000000.npz"]
    assert checkpoints.latest().state["epoch"] == 1
    checkpoints.save({"x": np.ones(1000)}, {"epoch": 3})  # and there is room again
    assert checkpoints.latest().state["epoch"] == 3
