"""Where a run comes from: code, packages, machine."""

import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

# What results come from: a page or a note beside it that is not committed yet makes no run doubtful.
CODE = ("vae_lab", "conf", "scripts", "hydra_plugins", "requirements.lock")
PACKAGES = ("vae_lab", "tensorflow", "tensorflow-probability", "keras", "numpy", "mlflow")


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Tags that name commit, package versions, machine kind and threads."""
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
        tags |= {
            "mlflow.source.git.commit": commit,
            "git.dirty": str(bool(_git(checkout, "status", "--porcelain", "--", *CODE))).lower(),
        }
    return tags


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
