"""GPUs, found without TensorFlow, which takes seconds to say what there is; and one worker to each."""

import os
from glob import glob
from pathlib import Path

from filelock import FileLock, Timeout

VISIBLE = "CUDA_VISIBLE_DEVICES"
_taken: list[FileLock] = []  # held until the process ends


def gpus() -> list[str]:
    """The numbers of the GPUs that this process may use, by the machine's device files."""
    there = sorted((path.removeprefix("/dev/nvidia") for path in glob("/dev/nvidia[0-9]*")), key=int)
    if (visible := os.environ.get(VISIBLE)) is None:
        return there
    return [number for number in visible.split(",") if number not in ("", "-1")] if there else []


def take_gpu(folder: Path) -> str | None:
    """Makes one GPU that no other worker has the only one that TensorFlow sees, and lets its memory grow as needed.

    Call it before TensorFlow is imported; a second call changes nothing. With fewer GPUs than workers, or none, it
    leaves all as it is.

    Args:
      folder: where the workers' locks lie.

    Returns:
      The GPU's number, or None.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    numbers = gpus()
    if _taken or len(numbers) < 2:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        lock = FileLock(folder / f"gpu-{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _taken.append(lock)
        os.environ[VISIBLE] = number
        return number
    return None
