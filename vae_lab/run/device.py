"""The device that a run computes on: given to it before TensorFlow starts, and as TensorFlow then finds it."""

import os
from glob import glob
from pathlib import Path

from filelock import FileLock, Timeout

from vae_lab.config.settings import Settings
from vae_lab.errors import UsageError

VISIBLE = "CUDA_VISIBLE_DEVICES"
NONE = ("", "-1", "NoDevFiles")  # what that variable says where there is to be no GPU
_taken: list[FileLock] = []  # held until the process ends


def gpus() -> list[str]:
    """What CUDA calls the GPUs that this process may use, as far as the machine tells without TensorFlow.

    By CUDA_VISIBLE_DEVICES, whose entries may be names; else the ordinals of as many as there are device files. These
    carry the driver's own numbers, which are not CUDA's inside a container.
    """
    if (visible := os.environ.get(VISIBLE)) is not None:
        return [] if visible in NONE else visible.split(",")
    return [str(ordinal) for ordinal in range(len(glob("/dev/nvidia[0-9]*")))]


def take_gpu(folder: Path) -> str | None:
    """Makes one GPU that no other worker has the only one that TensorFlow sees, and lets its memory grow as needed.

    Call it before TensorFlow is imported; a second call changes nothing. With fewer GPUs than workers, or none, it
    leaves all as it is.

    Args:
      folder: where the workers' locks lie.

    Returns:
      What CUDA calls the GPU, or None.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    names = gpus()
    if _taken or len(names) < 2:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        lock = FileLock(folder / f"gpu-{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _taken.append(lock)
        os.environ[VISIBLE] = name
        return name
    return None


def require_gpu() -> None:
    """Raises UsageError where this process was given a GPU and TensorFlow finds none: it would take days on the CPU."""
    given = os.environ.get(VISIBLE, "")
    if given not in NONE and not found_gpus():
        raise UsageError(
            f"{VISIBLE}={given} gives this job a GPU, and TensorFlow finds none (the driver, or tensorflow[and-cuda], "
            f"is missing); {VISIBLE}=-1 trains on the CPU"
        )


def found_gpus() -> list[str]:
    """The names of the GPUs that TensorFlow computes on."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(device).get("device_name", "GPU") for device in devices]


def resolved_jit(settings: Settings) -> bool:
    """Whether XLA compiles: `training.jit`, where auto means yes, but for convolutions on a CPU: oneDNN is faster."""
    jit = settings.training.jit
    return bool(jit) if jit != "auto" else not settings.convolutional or bool(found_gpus())


def device_tags(settings: Settings) -> dict[str, str]:
    """Tags that say on what, and how precisely, a run computes."""
    import tensorflow as tf

    names = found_gpus()
    return {
        "device.kind": "GPU" if names else "CPU",
        "device.name": ", ".join(names) or "CPU",
        "device.jit": str(resolved_jit(settings)).lower(),
        "device.precision": settings.training.precision,
        "device.tf32": str(bool(names) and tf.config.experimental.tensor_float_32_execution_enabled()).lower(),
    }
