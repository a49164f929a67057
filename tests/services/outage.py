"""A tracking server that goes away in the middle of a run, and one that is not there at the start."""

import os
import signal
import time

from benchmarks.server import free_port, tracking_server
from services.running import BRIEF, NETWORK, rows_of, wait_for
from vae_lab.tracking.records import runs_tagged
from vae_lab.tracking.store import open_store

EPOCHS = 5000
AWAY = "does not answer; results wait here until it does"


def test_a_run_outlives_its_tracking_server(home, start, needs_postgresql):
    port = free_port()
    uri, log = f"http://127.0.0.1:{port}", home / "log.txt"
    words = [f"training.epochs={EPOCHS}", "training.checkpoint_seconds=2", f"tracking.uri={uri}", *NETWORK, *BRIEF]
    with tracking_server(home / "server", port) as server:
        process = start(*words)
        store = open_store(uri, "vae_lab")

        def metrics():
            """The run, once the server has metrics of it."""
            return [run for run in runs_tagged(store, "vae_lab.kind", "run") if run.metrics]

        wait_for(metrics, 900, "metrics of the run")
        os.killpg(server.pid, signal.SIGKILL)  # no goodbye: connections break off, PostgreSQL is left alone
        server.wait()
        away = time.time()
        # Once a checkpoint the run has something to send: between two of them it has trained on.
        wait_for(lambda: log.read_text().count(AWAY) >= 2 or process.poll() is not None, 900, "two tries to send")
        assert process.poll() is None, log.read_text()[-3000:]
    with tracking_server(home / "server", port):
        back = time.time()
        assert process.wait(timeout=900) == 0, log.read_text()[-3000:]
        (run,) = runs_tagged(store, "vae_lab.kind", "run")
        assert run.status == "FINISHED"
        rows = rows_of(store, run.run_id)
        for key in ("running/elbo", "running/rate", "running/distortion"):
            assert [step for step, _ in rows[key]] == list(range(1, EPOCHS + 1))
        for key, found in rows.items():
            assert len({step for step, _ in found}) == len(found), key
        history = store.client.get_metric_history(run.run_id, "running/elbo")
        times = [row.timestamp / 1000 for row in history]
        assert any(away < moment < back for moment in times)  # it went on training while nobody listened
        assert {"config.yaml", "model", "evaluation"} <= {
            entry.path for entry in store.client.list_artifacts(run.run_id)
        }


def test_a_server_that_is_down_at_the_start_is_told_at_once(train):
    port = free_port()
    printed = train(f"tracking.uri=http://127.0.0.1:{port}", code=2)
    assert f"tracking.uri=http://127.0.0.1:{port} does not answer" in printed
    assert len(printed.splitlines()) == 1
    printed = train("-m", "seed=0,1", f"tracking.uri=http://127.0.0.1:{port}", code=2)
    assert "2 jobs, all checked" in printed
    assert len(printed.splitlines()) == 2
