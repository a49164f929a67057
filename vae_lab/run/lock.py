"""Who works on a job: one process at a time, and a dead one not at all."""

from pathlib import Path

from filelock import FileLock, Timeout

from vae_lab.tracking.store import database_path


class Claimed(RuntimeError):
    """Another process works on this job now."""


def claims_folder(tracking_uri: str, outputs: str) -> Path:
    """Where the claims of a store lie: beside its database, so that all who share it see them; else in the outputs."""
    database = database_path(tracking_uri)
    return Path(outputs) / "claims" if database is None else database.with_name(database.name + ".claims")


class Claim:
    """A file lock named by what is claimed. The system gives it back when its owner dies, however it dies."""

    def __init__(self, folder: Path, key: str, patience: float = 0.0):
        """`patience`: how many seconds to wait for another process."""
        self._lock = FileLock(folder / f"{key}.lock")
        self._patience = patience

    def __enter__(self) -> "Claim":
        """Takes the claim.

        Raises:
          Claimed: when another process has it.
        """
        Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=self._patience)
        except Timeout:
            raise Claimed("another process works on this job") from None
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()
