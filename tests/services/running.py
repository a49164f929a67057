"""Sweeps and servers as the checks run them, and what a store must hold afterwards."""

import time
from pathlib import Path

from vae_lab.tracking.records import runs_tagged
from vae_lab.tracking.store import open_store

CHECKOUT = Path(__file__).resolve().parent.parent.parent
NETWORK = ["encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "estimator=monte_carlo", "training.jit=false"]
BRIEF = ["evaluation.importance_samples=5", "evaluation.images_every=0"]
SWEEP = ["-m", "seed=0,1", "prior=mvn,mixture", "training.epochs=2", *NETWORK, *BRIEF]


def wait_for(condition, seconds, what):
    """Returns the first true value of a condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError(f"no {what} after {seconds} s")


def rows_of(store, run_id):
    """All rows of a run: by key the steps and values, in the order of the steps."""
    keys = store.client.get_run(run_id).data.metrics
    return {key: sorted((row.step, row.value) for row in store.client.get_metric_history(run_id, key)) for key in keys}


def assert_done_once(uri):
    """Whether the store holds `SWEEP`: four jobs, each finished once, children of one parent; and nothing beside it."""
    store = open_store(uri, "vae_lab")
    (parent,) = runs_tagged(store, "vae_lab.kind", "sweep")
    jobs = runs_tagged(store, "vae_lab.kind", "run")
    assert [parent.status, *(job.status for job in jobs)] == ["FINISHED"] * 5
    assert {job.tags["mlflow.parentRunId"] for job in jobs} == {parent.run_id}
    names = sorted(job.name for job in jobs)
    assert names == ["prior=mixture-s0", "prior=mixture-s1", "prior=mvn-s0", "prior=mvn-s1"]
    assert parent.tags["vae_lab.jobs_finished"] == "4"
    files = {entry.path for entry in store.client.list_artifacts(parent.run_id)}
    assert {"plan.json", "table.csv", "table.md"} <= files
    for job in jobs:
        assert {"config.yaml", "model", "evaluation"} <= {
            entry.path for entry in store.client.list_artifacts(job.run_id)
        }
        rows = rows_of(store, job.run_id)
        assert [step for step, _ in rows["running/elbo"]] == [1, 2]
        assert all(len({step for step, _ in found}) == len(found) for found in rows.values())
    return {record.run_id: store.client.get_run(record.run_id).info.end_time for record in jobs}


def assert_sweep(train, uri, *words):
    """Runs `SWEEP`, and once more, when it must find nothing to do."""
    assert "4 of 4 jobs done" in train(*SWEEP, *words)
    ended = assert_done_once(uri)
    assert "4 of them are done already, 0 to do" in train(*SWEEP, *words)
    assert assert_done_once(uri) == ended
