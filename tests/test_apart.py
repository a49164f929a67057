"""Sweeps and searches of many structures: in a process of their own, which is replaced as it grows."""

import os

import pytest
from in_process import train

from vae_lab.sweep import apart, multirun
from vae_lab.tracking.records import metric_history, runs_tagged
from vae_lab.tracking.store import look_into

TINY = (
    "encoder.hidden=[8]",
    "decoder.hidden=[8]",
    "training.jit=false",
    "training.epochs=2",
    "evaluation.importance_samples=2",
    "evaluation.images_every=0",
    "evaluation.pictures=false",
)


@pytest.fixture
def sweep(tmp_path):
    """scripts/train.py -m in this process, into a store of its own: name and overrides -> the store."""

    def run(name, *words):
        assert train(tmp_path / name, "-m", *TINY, *words) == 0
        return look_into(f"sqlite:///{tmp_path / name}/outputs/mlflow.db", "vae_lab")

    return run


def told(store):
    """By run, its final metrics but for how fast they came, and its curve."""
    runs = runs_tagged(store, "vae_lab.kind", "run")
    assert {run.status for run in runs} == {"FINISHED"}
    curves = metric_history(store, [run.run_id for run in runs], "val/elbo")
    return {
        run.name: ({key: one for key, one in run.metrics.items() if not key.startswith("perf/")}, curves[run.run_id])
        for run in runs
    }


@pytest.mark.slow
def test_a_sweep_whose_process_is_replaced_comes_to_bitwise_the_same(sweep, monkeypatch):
    words = "latent_size=2,3"
    here = sweep("here", words)
    assert {run.tags["vae_lab.process"] for run in runs_tagged(here, "vae_lab.kind", "run")} == {str(os.getpid())}
    monkeypatch.setattr(multirun, "MOST_STRUCTURES", 1)
    monkeypatch.setattr(apart, "MOST_GROWTH", 0)  # every process has grown as much after its first job
    there = sweep("there", words)
    processes = {run.tags["vae_lab.process"] for run in runs_tagged(there, "vae_lab.kind", "run")}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes
    assert told(there) == told(here)
    assert len(told(here)) == 2
    monkeypatch.setattr(apart, "MOST_GROWTH", 10**12)
    kept = sweep("kept", words)
    assert len({run.tags["vae_lab.process"] for run in runs_tagged(kept, "vae_lab.kind", "run")}) == 1
    assert told(kept) == told(here)
