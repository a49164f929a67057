"""The tracking server away at any moment of a run: rows once, files whole, nothing FINISHED without its weights.

A real `mlflow server` behind a proxy that can be shut. An outage begins with a request that the proxy sees and ends
with what the run has done: connections that it tried, epochs that it trained.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from conftest import CUT_OFF
from proxy import Proxy

from vae_lab.config.compose import compose
from vae_lab.errors import UsageError
from vae_lab.run.job import run_job
from vae_lab.tracking import away
from vae_lab.tracking.artifacts import fetch_artifact
from vae_lab.tracking.records import runs_tagged
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun

pytestmark = pytest.mark.slow

TINY = (*CUT_OFF, "evaluation.pictures=[loss_curves,training]")
TRIES = 4


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The port of a real server."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *places]
    with (folder / "log.txt").open("w") as log:
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # a process less; it keeps runs
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        while True:
            assert process.poll() is None, (folder / "log.txt").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        os.killpg(process.pid, 15)
        process.wait()


@pytest.fixture
def proxy(server, monkeypatch):
    monkeypatch.setattr(away, "SECONDS_BETWEEN_TRIES", 0.01)
    there = Proxy(server)
    yield there
    there.close()


def asked(proxy, name, *more):
    return compose(*TINY, f"tracking.uri={proxy.uri}", f"tracking.experiment_name={name}", *more)


def seen(server, name):
    """The store without the proxy, and its only run."""
    store = open_store(f"http://127.0.0.1:{server}", name)
    (run,) = runs_tagged(store, "vae_lab.kind", "run")
    return store, run


def rows_of(store, run):
    """All rows by key, but for measured times."""
    keys = [key for key in run.metrics if not key.startswith("perf/")]
    return {key: sorted((p.step, p.value) for p in store.client.get_metric_history(run.run_id, key)) for key in keys}


def files_of(store, run, folder=None):
    found = []
    for entry in store.client.list_artifacts(run.run_id, folder):
        found += files_of(store, run, entry.path) if entry.is_dir else [(entry.path, entry.file_size)]
    return sorted(found)


def named(files):
    """Files by what their name says: a frame's holds its run's id."""
    return sorted(path.rsplit("+timestamp", 1)[0] for path, _ in files)


@pytest.fixture(scope="module")
def alone(server, own_home):
    """Rows and names of files of a run that was left alone."""
    cfg = compose(*TINY, f"tracking.uri=http://127.0.0.1:{server}", "tracking.experiment_name=alone")
    run_job(cfg, [], {})
    store, run = seen(server, "alone")
    rows = rows_of(store, run)
    assert [step for step, _ in rows["running/elbo"]] == [1, 2, 3, 4, 5, 6]
    return rows, named(files_of(store, run))


def assert_whole(server, name, alone, tmp_path):
    store, run = seen(server, name)
    assert run.status == "FINISHED"
    assert (rows_of(store, run), named(files_of(store, run))) == alone
    assert all(size for _, size in files_of(store, run))
    assert fetch_artifact(store, run.run_id, "model/model.weights.h5", str(tmp_path)).stat().st_size > 1000
    return run


MOMENTS = {
    "first-request": b"/mlflow/runs/search",
    "run-is-made": b"/mlflow/runs/create",
    "data": b"/mlflow/runs/log-inputs",
    "rows": b'"running/elbo"',
    "frame": b"prior_samples",
    "final-rows": b'"test/elbo"',
    "picture": b"/pictures/",
    "values-of-images": b"/evaluation/test.npz",
    "weights": b"/model/model.weights.h5",
    "end": b'"FINISHED"',
}


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_an_outage_at_each_moment_costs_nothing(server, proxy, alone, lost, tmp_path):
    """One run, and an outage at every moment of it."""
    cfg = asked(proxy, lost)
    open_store(proxy.uri, lost)  # the start is over
    proxy.shut_at(MOMENTS, until=TRIES, lost=lost)
    run_job(cfg, [], {})
    assert proxy.awaited == {}
    assert proxy.outages == len(MOMENTS)
    assert proxy.refused >= TRIES * len(MOMENTS)
    assert_whole(server, lost, alone, tmp_path)


def test_training_goes_on_while_the_server_is_away(server, proxy, alone, tmp_path):
    """From the second epoch to the fifth, by what the run says of itself."""
    steps = []

    def reporting(sweep, epochs, progress):
        def on_progress(result, metrics):
            if result.complete:
                steps.append(result.step)
                if len(steps) == 2:
                    proxy.shut()
                if len(steps) == 5:
                    proxy.open()

        return on_progress

    run_job(asked(proxy, "between"), [], {}, reporting)
    assert len(steps) == 6
    assert proxy.refused > 0
    assert_whole(server, "between", alone, tmp_path)


def test_what_is_not_there_at_the_start_is_refused_in_a_line(proxy, own_home):
    proxy.shut()
    with pytest.raises(UsageError, match=rf"^tracking.uri={proxy.uri} does not answer \([^\n]*\); start it"):
        run_job(asked(proxy, "refused"), [], {})


def test_outages_that_are_longer_than_the_patience_lose_nothing(server, proxy, alone, tmp_path, monkeypatch):
    """Each time the command ends in a line; repeated, it sends the rest, and neither trains nor evaluates again."""
    cfg = asked(proxy, "long")
    monkeypatch.setattr(away, "SECONDS_TO_WAIT", 0.0)
    open_store(proxy.uri, "long")
    ids = set()
    for moment in ("weights", "final-rows", "end"):
        proxy.shut_at({moment: MOMENTS[moment]})
        with pytest.raises(away.ServerAway, match=r"has been away too long .* repeat the command"):
            run_job(cfg, [], {})
        _, run = seen(server, "long")
        assert run.status == "RUNNING", moment
        ids.add(run.run_id)
        proxy.open()
        monkeypatch.setattr("vae_lab.run.work.conclude", None)  # which would fail if it were called
    run_job(cfg, [], {})
    assert ids == {assert_whole(server, "long", alone, tmp_path).run_id}


def test_a_download_waits_and_what_is_not_there_is_told_at_once(server, proxy, tmp_path):
    with TrackedRun(open_store(proxy.uri, "files"), "files", {"vae_lab.kind": "run"}) as run:
        run.text("all of it", "one.txt")
    store = open_store(proxy.uri, "files")
    proxy.shut(until=TRIES)
    assert fetch_artifact(store, run.run_id, "one.txt", str(tmp_path)).read_text() == "all of it"
    with pytest.raises(UsageError, match=r"has no artifact two.txt"):
        fetch_artifact(store, run.run_id, "two.txt", str(tmp_path))
    assert proxy.refused == TRIES
