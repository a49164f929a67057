"""Closes runs that say RUNNING and are dead, and says what a repeated command would do with each.

vae-lab doctor
vae-lab doctor tracking.uri=sqlite:////path/mlflow.db tracking.experiment_name=vae_lab
"""

from pathlib import Path

from vae_lab.console.command import Words, command


def doctor(words: Words) -> int:
    """Prints a line a dead run."""
    from vae_lab.config.compose import compose_unchecked
    from vae_lab.run.checkpoint import checkpoints_of
    from vae_lab.run.lock import locks_folder
    from vae_lab.sweep.doctor import close_dead_runs
    from vae_lab.tracking.records import running
    from vae_lab.tracking.store import open_store

    cfg = compose_unchecked()
    uri = words.given.get("tracking.uri", cfg.tracking.uri)
    name = words.given.get("tracking.experiment_name", cfg.tracking.experiment_name)
    store = open_store(uri, name, existing=True)
    dead = close_dead_runs(store, locks_folder(uri, cfg.paths.outputs))
    for record in dead:
        if record.tags.get("vae_lab.kind") == "sweep":
            again = record.tags.get("vae_lab.command", "")
            print(f"{record.run_id}  sweep {record.name}: KILLED; repeat it to do what is missing:\n  {again}")
            continue
        training = record.tags["vae_lab.training"]
        kept = checkpoints_of(Path(cfg.paths.checkpoints), store.uri, record.run_id, training).latest()
        then = f"would go on at epoch {kept.state['epoch']}" if kept else "would begin anew, in the same run"
        print(f"{record.run_id}  {record.name}: KILLED; its command {then}")
    print(f"{len(dead)} dead runs closed, {len(running(store))} run")
    return 0


main = command(doctor, __doc__, ("tracking.uri", "tracking.experiment_name"))
