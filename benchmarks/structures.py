"""Memory over many structures: a sweep of tiny models, no two of which share what TensorFlow compiles.

python -m benchmarks.structures [how many]
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vae_lab.tracking.records import runs_tagged
from vae_lab.tracking.store import look_into

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "train.py"
TINY = ("encoder.hidden=[8]", "decoder.hidden=[8]", "training.epochs=2", "evaluation.importance_samples=2")
STRUCTURES = 100
EVERY = 10  # jobs of which the table shows one


@dataclass(frozen=True)
class Held:
    """One job, in the order in which they began."""

    process: str
    memory: float  # the most that its process has held up to its end, 10^6 bytes


def measure(structures: int, home: Path) -> list[Held]:
    """Runs so many structures, one job each, and returns what their processes held."""
    words = ["-m", f"latent_size={','.join(str(2 + size) for size in range(structures))}", *TINY]
    environment = os.environ | {"VAE_LAB_HOME": str(home)}
    subprocess.run([sys.executable, str(SCRIPT), *words], env=environment, check=True, stdout=subprocess.DEVNULL)
    return held(home)


def held(home: Path) -> list[Held]:
    """The finished jobs of a home's store."""
    store = look_into(f"sqlite:///{home}/outputs/mlflow.db", "vae_lab")
    runs = [] if store is None else runs_tagged(store, "vae_lab.kind", "run")
    return [
        Held(run.tags["vae_lab.process"], run.metrics["perf/peak_memory_mb"])
        for run in runs
        if run.status == "FINISHED"
    ]


def table(jobs: list[Held]) -> str:
    """Memory by job, as a Markdown table, and the most of all."""
    processes = list(dict.fromkeys(job.process for job in jobs))
    lines = ["| job | process | memory |", "|---:|---:|---:|"]
    for number, job in enumerate(jobs, 1):
        if number == 1 or number % EVERY == 0:
            lines.append(f"| {number} | {1 + processes.index(job.process)} | {job.memory:,.0f} MB |")
    most = max(job.memory for job in jobs)
    told = f"{len(jobs)} structures in {len(processes)} processes, one after another; the most that one held: "
    return "\n".join([*lines, "", f"{told}{most:,.0f} MB."])


def report(structures: int = STRUCTURES) -> str:
    """Measures so many in a home of their own; a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        return table(measure(structures, Path(folder)))


if __name__ == "__main__":
    print(report(*map(int, sys.argv[1:])))
