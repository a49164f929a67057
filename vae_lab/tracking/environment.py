"""Where and with what a run was made. Beside its identity, never part of it."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

COMMIT, DIRTY = "mlflow.source.git.commit", "git.dirty"
# What results come from: a page or a note beside it that is not committed yet makes no run doubtful.
CODE = ("vae_lab", "conf", "scripts", "hydra_plugins", "requirements.lock")
PACKAGES = ("vae_lab", "tensorflow", "tensorflow-probability", "keras", "numpy", "scipy", "mlflow")
# The tags that say what may move a number, in words.
TOLD = {
    COMMIT: "commit",
    DIRTY: "state of the checkout",
    **{f"version.{package}": package for package in PACKAGES if package not in ("vae_lab", "mlflow")},
    "version.python": "Python",
    "machine.kind": "processor",
    "machine.threads": "threads",
    "device.kind": "device",
    "device.name": "device's name",
    "device.jit": "compilation (XLA)",
    "device.precision": "precision",
    "device.tf32": "TensorFloat-32",
}
SHOWN = 40  # characters of a value


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """Tags that name commit, package versions, machine kind and threads. The device is TensorFlow's to say."""
    tags = {f"version.{package}": version(package) for package in PACKAGES}
    tags |= {
        "version.python": platform.python_version(),
        "machine.kind": _processor(),
        "machine.cores": str(os.cpu_count()),
        "machine.threads": os.environ.get("TF_NUM_INTRAOP_THREADS", "default"),
        "mlflow.source.name": Path(sys.argv[0]).name,
    }
    checkout = Path(__file__).resolve().parent.parent.parent
    if (checkout / ".git").exists() and (commit := _git(checkout, "rev-parse", "HEAD")):
        tags |= {COMMIT: commit, DIRTY: str(bool(_git(checkout, "status", "--porcelain", "--", *CODE))).lower()}
    return tags


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """In what two runs' environments differ, by their tags, in words."""
    return [
        f"{what} {one.get(tag, 'none')[:SHOWN]} -> {other.get(tag, 'none')[:SHOWN]}"
        for tag, what in TOLD.items()
        if one.get(tag) != other.get(tag)
    ]


def varied(runs: Iterable[Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """What runs do not share of their environments, by the tags of each: in words, how many have which value."""
    tags = list(runs)
    found: dict[str, dict[str, int]] = {}
    for tag, what in TOLD.items():
        values = [of_run.get(tag, "none")[:SHOWN] for of_run in tags]
        if len(set(values)) > 1:
            found[what] = {value: values.count(value) for value in dict.fromkeys(values)}
    return found


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
