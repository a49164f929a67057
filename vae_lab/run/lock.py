"""Who works on a job: one process at a time, and a dead one not at all."""

from pathlib import Path

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
