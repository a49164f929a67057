"""Runs that say RUNNING and are dead."""

from pathlib import Path

from vae_lab.run.lock import Lock, Locked, deciding_locks, lock_name
from vae_lab.tracking.heartbeat import is_alive_here, is_worked_on
from vae_lab.tracking.records import RunRecord, children, close_run, read_run, running
from vae_lab.tracking.store import Store

# A worker that is being killed keeps its lock for a moment.
SECONDS_TO_DIE = 3.0


def close_dead_runs(store: Store, locks: Path, parent: str | None = None) -> list[RunRecord]:
    """Marks as KILLED each RUNNING run that nobody works on, and returns those; all of them, or a sweep's.

    A job's lock is free once its process is dead. Of other machines, whose locks this one may not see, the heartbeat
    tells.
    """
    dead, deciding = [], deciding_locks(locks)
    for record in running(store, parent):
        if record.tags.get("vae_lab.kind") == "sweep":
            alive = is_alive_here(record.tags)
            if alive or (alive is None and any(job.status == "RUNNING" for job in children(store, record.run_id))):
                continue
            closed = close_if_running(store, record)
        elif is_worked_on(record.tags, deciding):
            continue
        else:
            try:
                with Lock(locks, lock_name(record.experiment_id, record.tags["vae_lab.training"]), SECONDS_TO_DIE):
                    closed = close_if_running(store, record)
            except Locked:
                continue
        if closed:
            dead.append(record)
    return dead


def close_if_running(store: Store, record: RunRecord) -> bool:
    """Marks a run as KILLED unless it has ended since it was listed."""
    if read_run(store, record.run_id).status != "RUNNING":
        return False
    close_run(store, record.run_id, "KILLED")
    return True
