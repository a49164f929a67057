"""A Slurm of one node, real and in a folder of its own: its controller, its daemon and munge."""

import itertools
import os
import shutil
import socket
import subprocess
import time

import psutil
import pytest

from benchmarks.server import free_port
from services.running import BRIEF, NETWORK, assert_sweep, rows_of, wait_for
from vae_lab.tracking.records import runs_tagged
from vae_lab.tracking.store import open_store

EPOCHS = 800

CONF = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=5,sched_interval=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory={memory} State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture
def slurm(home, monkeypatch):
    """The options that send jobs to a Slurm of this machine."""
    pytest.importorskip("submitit")
    if not shutil.which("slurmctld") or not shutil.which("slurmd") or not shutil.which("munged"):
        pytest.skip("Slurm is not installed (Debian: apt-get install slurmctld slurmd slurm-client munge)")
    if os.getuid() != 0:
        pytest.skip("only root can run Slurm's daemons")
    folder = home / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    ports = {"port": free_port(), "node_port": free_port()}
    host = socket.gethostname().partition(".")[0]
    memory = psutil.virtual_memory().total >> 20
    (folder / "slurm.conf").write_text(CONF.format(folder=folder, host=host, user="root", memory=memory, **ports))
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    names = {"key": "key-file", "socket": "socket", "pid": "pid-file", "log": "log-file", "seed": "seed-file"}
    munge = ["munged", "--foreground", "--force", *(f"--{option}={folder}/munge.{n}" for n, option in names.items())]
    daemons = []
    try:
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D"]):
            with (folder / "daemons.txt").open("a") as log:
                daemons.append(subprocess.Popen(command, stdout=log, stderr=log))
            time.sleep(1)
        wait_for(lambda: "idle" in slurm_says("sinfo", "--noheader"), 900, "idle node of Slurm")
        small = ["hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2"]
        yield ["hydra/launcher=slurm", "hydra.launcher.partition=cpu", *small]
        slurm_says("scancel", "--user=root")
        wait_for(lambda: not slurm_says("squeue", "--noheader"), 900, "empty queue")
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(timeout=60)


def slurm_says(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def test_slurm(home, train, slurm):
    assert_sweep(train, f"sqlite:///{home}/outputs/mlflow.db", *slurm)


@pytest.mark.parametrize(
    "how",
    [
        ["scancel", "--signal=USR2"],  # what Slurm sends when a job's time is nearly over
        ["scontrol", "requeue"],  # what an administrator does, and a preemption: SIGTERM, then SIGKILL after a while
    ],
)
def test_slurm_takes_a_job_away_and_brings_it_back(home, start, slurm, how):
    words = [f"training.epochs={EPOCHS}", "training.checkpoint_seconds=3600", *NETWORK, *BRIEF]
    process = start("-m", "seed=0", *slurm, *words)
    logs = home / "outputs" / "sweeps"
    log = wait_for(
        lambda: next((path for path in logs.rglob("*_log.out") if " epoch " in path.read_text()), None), 900, "job"
    )
    subprocess.run([*how, log.parent.name], check=True)
    assert process.wait(timeout=900) == 0, (home / "log.txt").read_text()[-3000:]
    assert "goes on" in log.read_text()
    store = open_store(f"sqlite:///{home}/outputs/mlflow.db", "vae_lab")
    (job,) = runs_tagged(store, "vae_lab.kind", "run")
    assert job.status == "FINISHED"
    assert [step for step, _ in rows_of(store, job.run_id)["running/elbo"]] == list(range(1, EPOCHS + 1))
    times = [row.timestamp for row in store.client.get_metric_history(job.run_id, "running/elbo")]
    # Nothing was trained twice: the rows from before are older than the longest pause, which is the requeueing.
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) > 3000
