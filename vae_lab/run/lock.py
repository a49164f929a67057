"""Who works on a job: one process at a time, and a dead one not at all."""

import uuid
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from vae_lab.tracking.store import database_path


class Locked(RuntimeError):
    """Another process works on this job now."""


def locks_folder(tracking_uri: str, outputs: str) -> Path:
    """Where the locks of a store lie: beside its database, so that all who share it see them; else in the outputs."""
    database = database_path(tracking_uri)
    return Path(outputs) / "locks" if database is None else database.with_name(database.name + ".locks")


def lock_name(experiment_id: str | None, training: str) -> str:
    """The lock of a job: runs of one training in one MLflow experiment are made one after the other.

    The second finds the weights there, whatever it evaluates them by.
    """
    return f"{experiment_id}-{training}"


# Whether a lock taken on one machine is seen on another, the file system does not tell; these are of one machine.
LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "f2fs", "apfs", "hfs", "ntfs")


def deciding_locks(folder: Path) -> str | None:
    """The name of a folder of locks, where they alone decide who is alive: on a disk of one machine.

    A container that is started again there has another host name and the same folder. None elsewhere, or where nothing
    can be written.
    """
    if _file_system(folder) not in LOCAL:
        return None
    name = folder / "name"
    try:
        if not name.exists():
            folder.mkdir(parents=True, exist_ok=True)
            mine = folder / f"name.{uuid.uuid4().hex}"
            mine.write_text(uuid.uuid4().hex)
            try:
                name.hardlink_to(mine)  # of several processes the first one names it
            except FileExistsError:
                pass
            finally:
                mine.unlink()
        return name.read_text()
    except OSError:
        return None


def _file_system(path: Path) -> str:
    """The kind of the file system that a path lies on, or will; empty where the system does not tell."""
    place = path.expanduser().resolve()
    mounted = [entry for entry in psutil.disk_partitions(all=True) if place.is_relative_to(entry.mountpoint)]
    return max(mounted, key=lambda entry: len(entry.mountpoint)).fstype if mounted else ""


class Lock:
    """A file lock. The system gives it back when its owner dies, however it dies."""

    def __init__(self, folder: Path, name: str, patience: float = 0.0):
        """`patience`: how many seconds to wait for another process."""
        self._lock = FileLock(folder / f"{name}.lock")
        self._patience = patience

    def __enter__(self) -> "Lock":
        """Takes the lock.

        Raises:
          Locked: when another process has it.
        """
        Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=self._patience)
        except Timeout:
            raise Locked("another process works on this job") from None
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()
