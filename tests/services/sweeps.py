"""One small sweep through each launcher that reaches other machines, and into a shared tracking server."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.server import free_port, tracking_server
from services.running import BRIEF, CHECKOUT, NETWORK, assert_sweep, rows_of, wait_for
from vae_lab.tracking.records import runs_tagged
from vae_lab.tracking.store import open_store


def test_submitit(home, train):
    pytest.importorskip("submitit")
    assert_sweep(train, f"sqlite:///{home}/outputs/mlflow.db", "hydra/launcher=slurm_here")


@pytest.mark.parametrize("preemption", [[signal.SIGUSR2], [signal.SIGTERM, signal.SIGUSR2]])
def test_a_preempted_job_is_requeued_and_goes_on(home, start, preemption):
    """As Slurm does it: SIGUSR2 when time is nearly over, after SIGTERM where another job takes the machine."""
    pytest.importorskip("submitit")
    # Checkpoints are an hour apart: only the signal can have written one.
    words = ["training.epochs=400", "training.checkpoint_seconds=3600", *NETWORK, *BRIEF]
    process = start("-m", "seed=0,1", "hydra/launcher=slurm_here", *words)
    log = home / "outputs" / "sweeps"

    def training():
        """The processes of jobs that say at which epoch they are."""
        found = [path for path in log.rglob("*_log.out") if "epoch" in path.read_text()]
        return [int(path.name.partition("_")[0]) for path in found]

    controller = wait_for(training, 900, "job that trains")[0]
    (job,) = psutil.Process(controller).children()
    for number in preemption:
        job.send_signal(number)
    assert process.wait(timeout=900) == 0, (home / "log.txt").read_text()[-3000:]
    (told,) = log.rglob(f"{controller}_0_log.out")
    assert "Requeued job" in told.read_text()
    assert "goes on" in told.read_text()
    store = open_store(f"sqlite:///{home}/outputs/mlflow.db", "vae_lab")
    jobs = runs_tagged(store, "vae_lab.kind", "run")
    assert [job.status for job in jobs] == ["FINISHED"] * 2
    for job in jobs:
        rows = rows_of(store, job.run_id)
        assert [step for step, _ in rows["running/elbo"]] == list(range(1, 401))
        assert all(len({step for step, _ in found}) == len(found) for found in rows.values())


@pytest.fixture
def ray_cluster(home):
    """The address of a cluster of two nodes, one job each, both on this machine."""
    pytest.importorskip("ray")
    ray, port = str(Path(sys.executable).with_name("ray")), free_port()
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "VAE_LAB_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    environment |= {"RAY_worker_niceness": "0"}  # else 15: beside anything else that runs, its jobs hardly do
    address = f"127.0.0.1:{port}"
    common = ["--num-cpus=1", "--disable-usage-stats", "--block"]
    head = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={home}/ray"]
    nodes = []
    try:
        for where in (head, [f"--address={address}"]):
            text = home / f"node{len(nodes)}.txt"
            with text.open("w") as log:
                command = [ray, "start", *where, *common]
                node = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            nodes.append(node)
            wait_for(lambda text=text: "runtime started" in text.read_text(), 900, "Ray node")
        yield address
    finally:
        for node in reversed(nodes):
            processes = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
            node.terminate()
            _, alive = psutil.wait_procs(processes, timeout=20)
            for process in alive:
                process.kill()
            node.wait()


def test_ray(home, train, ray_cluster):
    uri = f"sqlite:///{home}/outputs/mlflow.db"
    assert_sweep(train, uri, "hydra/launcher=ray_cluster", f"hydra.launcher.ray.init.address={ray_cluster}")
    processes = {job.tags["vae_lab.process"] for job in runs_tagged(open_store(uri, "vae_lab"), "vae_lab.kind", "run")}
    assert len(processes) == 2  # one a node


def test_mlflow_over_postgresql(home, train, needs_postgresql):
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with tracking_server(home / "server", port):
        assert_sweep(train, uri, f"tracking.uri={uri}", "hydra/launcher=workers", "hydra.launcher.n_jobs=2")
        assert (
            open_store(uri, "vae_lab")
            .client.get_experiment_by_name("vae_lab")
            .artifact_location.startswith("mlflow-artifacts:")
        )
    assert list((home / "server" / "artifacts").rglob("table.md"))  # through the server, into its folder
    # Beside the report that every sweep writes where it was started, nothing of it lies there.
    assert {path.parent.parent.name for path in (home / "outputs").rglob("table.md")} == {"reports"}
    assert not (home / "server" / "postgres" / "postmaster.pid").exists()  # both have stopped
