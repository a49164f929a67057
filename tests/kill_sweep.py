"""Kills a sweep with SIGKILL at random moments until it is done, and compares it with one that was left alone.

python tests/kill_sweep.py [kills=20] [seed=0] [launcher=workers]

Prints a line a kill, and a table at the end; exits with 1 where the killed sweep lost, doubled or changed anything.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from mlflow import MlflowClient

CHECKOUT = Path(__file__).resolve().parent.parent
SWEEP = [
    "experiment=quickstart",
    "training.epochs=150",
    "training.checkpoint_seconds=0.2",
    "evaluation.images_every=25",
    "evaluation.importance_samples=10",
]


def start(home, launcher):
    environment = os.environ | {"VAE_LAB_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, str(CHECKOUT / "scripts" / "train.py"), *SWEEP]
    if launcher == "workers":
        # One thread each, whatever the launcher, so that sums are taken in the same order.
        command += ["hydra/launcher=workers", "hydra.launcher.n_jobs=2"]
    environment |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    log = (home / "log.txt").open("a")
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)


def runs(home):
    """By identity, all that each job's run holds: status, rows by key and step, names of frames."""
    database = home / "outputs" / "mlflow.db"
    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("vae_lab")
    found = {}
    for run in client.search_runs([experiment.experiment_id], "tags.`vae_lab.kind` = 'run'"):
        rows = {}
        for key in run.data.metrics:
            for metric in client.get_metric_history(run.info.run_id, key):
                rows.setdefault((key, metric.step), []).append(metric.value)
        frames = sorted(
            Path(entry.path).name.rsplit("+", 3)[0] for entry in client.list_artifacts(run.info.run_id, "images")
        )
        found.setdefault(run.data.tags["vae_lab.evaluation"], []).append((run.info.status, rows, frames))
    return found


def kill_one(process, rng):
    """Kills the main process with all its workers, or one worker; returns which."""
    try:
        workers = [
            child for child in psutil.Process(process.pid).children(recursive=True) if child.memory_info().rss > 2e8
        ]
    except psutil.NoSuchProcess:
        return "nothing: it was over"
    if workers and rng.random() < 0.5:
        rng.choice(workers).kill()
        return "a worker"
    os.killpg(process.pid, signal.SIGKILL)
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
    process.wait()
    return "the main process and its workers"


def differences(alone, killed):
    """What is not the same in the two, in words."""
    problems = []
    for identity in alone.keys() | killed.keys():
        one, other = alone.get(identity, []), killed.get(identity, [])
        if len(one) != 1 or len(other) != 1:
            problems.append(f"{identity}: {len(one)} and {len(other)} runs")
            continue
        (status, rows, frames), (status_2, rows_2, frames_2) = one[0], other[0]
        if (status, status_2) != ("FINISHED", "FINISHED"):
            problems.append(f"{identity}: {status} and {status_2}")
        if frames != frames_2:
            problems.append(f"{identity}: {len(frames)} and {len(frames_2)} frames")
        for key in rows.keys() | rows_2.keys():
            value, value_2 = rows.get(key), rows_2.get(key)
            measured_time = key[0].startswith("perf/")
            if value is None or value_2 is None or len(value) != 1 or len(value_2) != 1:
                problems.append(f"{identity} {key}: {value} and {value_2}")
            elif value != value_2 and not measured_time:
                problems.append(f"{identity} {key}: {value[0]!r} and {value_2[0]!r}")
    return problems


def main(arguments):
    given = dict(argument.split("=") for argument in arguments)
    kills, launcher = int(given.get("kills", 20)), given.get("launcher", "workers")
    rng = random.Random(int(given.get("seed", 0)))
    with tempfile.TemporaryDirectory() as folder:
        alone, killed = Path(folder) / "alone", Path(folder) / "killed"
        alone.mkdir()
        killed.mkdir()
        began = time.time()
        assert start(alone, launcher).wait() == 0, (alone / "log.txt").read_text()[-3000:]
        print(f"left alone: {time.time() - began:.0f} s", flush=True)
        done = 0
        process = start(killed, launcher)
        while done < kills:
            time.sleep(rng.uniform(2, 25))
            if process.poll() is not None:
                print("over before all kills were done", flush=True)
                break
            what = kill_one(process, rng)
            done += 1
            print(f"kill {done}: {what}", flush=True)
            if process.poll() is not None:
                process = start(killed, launcher)
        code = process.wait()
        while code != 0:
            print(f"ended with {code}; repeated", flush=True)
            code = start(killed, launcher).wait()
        one, other = runs(alone), runs(killed)
        problems = differences(one, other)
        rows = sum(len(found[0][1]) for found in other.values())
        print(f"{done} kills; {len(other)} jobs, {rows} metric rows compared, {len(problems)} differences")
        for problem in problems[:20]:
            print(f"  {problem}")
        if problems:
            print((killed / "log.txt").read_text()[-6000:])
        return 1 if problems or len(other) != 12 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
