"""What the commands take before any work, and which heavy packages they import for it."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.workers import BrokenWorker
from vae_lab.tracking.store import open_store

CHECKOUT = Path(__file__).resolve().parent.parent
HEAVY = ("tensorflow", "mlflow")
# By words: the exit code that they must have, and the heavy packages that they may not do without.
COMMANDS: dict[tuple[str, ...], tuple[int, tuple[str, ...]]] = {
    ("--help",): (0, ()),
    ("--cfg", "job"): (0, ()),
    ("+prio=mixture",): (2, ()),
    ("prior=mixture",): (2, ()),
    ("experiment=quickstart", "sweep.plan=true"): (0, ()),
}
SCRIPT = f"""
import runpy, sys
try:
    runpy.run_path("scripts/train.py", run_name="__main__")
finally:
    print("imported:", *[name for name in {HEAVY} if name in sys.modules])
"""


def seconds(words: tuple[str, ...], home: str) -> float:
    """Runs scripts/train.py in a process of its own, its runs below `home`; seconds from its start to its end.

    Raises:
      BrokenWorker: when it ends or imports otherwise than it must.
    """
    code, heavy = COMMANDS[words]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=CHECKOUT,
        env={**os.environ, "VAE_LAB_HOME": home},
        capture_output=True,
        text=True,
    )
    taken = time.perf_counter() - began
    imported = tuple(done.stdout.rpartition("imported:")[2].split())
    if (done.returncode, imported) != (code, heavy):
        raise BrokenWorker(f"{' '.join(words)}: exit code {done.returncode}, imported {imported}\n{done.stderr}")
    return taken


def table(repeats: int) -> str:
    """Runs each command so often, and shows its median in a Markdown table."""
    lines = ["| `scripts/train.py` | exit code | time | highest | imports |", "|---|---:|---:|---:|---|"]
    with tempfile.TemporaryDirectory() as home:
        open_store(f"sqlite:///{home}/outputs/mlflow.db", "vae_lab")
        for words, (code, heavy) in COMMANDS.items():
            taken = [seconds(words, home) for _ in range(repeats)]
            shown = f"| `{' '.join(words)}` | {code} | {median(taken):.2f} s | {max(taken):.2f} s"
            lines.append(f"{shown} | {', '.join(heavy) or 'neither'} |")
    return "\n".join(lines)
