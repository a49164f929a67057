"""Where and with what a run was made. Beside its identity, never part of it."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from vae_lab.config.project import project

COMMIT, DIRTY = "mlflow.source.git.commit", "git.dirty"
# What results come from: a page or a note beside it that is not committed yet makes no run doubtful.
CODE = ("vae_lab", "conf", "scripts", "hydra_plugins", "requirements.lock")
OWN_COMMIT, OWN_DIRTY = "project.git.commit", "project.git.dirty"  # of a project of one's own
PACKAGES = ("vae_lab", "tensorflow", "tensorflow-probability", "keras", "numpy", "scipy", "mlflow")
# The tags that say what may move a number, in words.
TOLD = {
    COMMIT: "commit",
    DIRTY: "changes that no commit holds",
    OWN_COMMIT: "project's commit",
    OWN_DIRTY: "changes of the project that no commit holds",
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
    if (checkout / ".git").exists():
        tags |= state_of(checkout, CODE, COMMIT, DIRTY)
    if (own := project()) is not None:
        code = ("pyproject.toml", str(own.conf), *(package.partition(".")[0] for package in own.packages))
        tags |= state_of(own.root, code, OWN_COMMIT, OWN_DIRTY)
    return tags


def state_of(folder: Path, code: Iterable[str], commit: str, dirty: str) -> dict[str, str]:
    """Tags that name the commit of a folder, and whether some of its files are not as that has them; none without git.

    Args:
      folder: in a checkout.
      code: what counts of it.
      commit, dirty: the tags.
    """
    if not (found := _git(folder, "rev-parse", "HEAD")):
        return {}
    return {commit: found, dirty: str(bool(_git(folder, "status", "--porcelain", "--", *code))).lower()}


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
