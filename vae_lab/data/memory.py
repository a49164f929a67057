"""How much memory data would take, and how much there is: said before anything is read."""

import contextlib
import resource
from pathlib import Path

import psutil

from vae_lab.errors import UsageError

CGROUP = Path("/sys/fs/cgroup/memory.max")  # what a container may have, where it is limited


def limit() -> int:
    """Bytes of memory that this process can have: the machine's, or less where its container or its shell says so."""
    limits = [psutil.virtual_memory().total]
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY:
        limits.append(allowed)
    with contextlib.suppress(OSError, ValueError):  # there is no such file, or it says max
        limits.append(int(CGROUP.read_text()))
    return min(limits)


def require(needed: int, what: str, way_out: str) -> None:
    """Raises UsageError where `what` needs more bytes than there can be."""
    if needed > (there := limit()):
        raise UsageError(f"{what} needs {needed:,} bytes of memory, and there are {there:,}; {way_out}")
