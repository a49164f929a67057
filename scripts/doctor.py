"""Closes runs that say RUNNING and are dead, and says what a repeated command would do with each.

python scripts/doctor.py
python scripts/doctor.py tracking.uri=sqlite:////path/mlflow.db tracking.experiment_name=vae_lab
"""

import sys
from pathlib import Path

from vae_lab.errors import UsageError

KEYS = ("tracking.uri", "tracking.experiment_name")


def main(arguments: list[str]) -> int:
    """Prints a line a dead run."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if set(given) - set(KEYS):
        print(__doc__, file=sys.stderr)
        return 2
    from vae_lab.config.compose import compose_unchecked
    from vae_lab.run.checkpoint import Checkpoints
    from vae_lab.run.lock import claims_folder
    from vae_lab.sweep.doctor import close_dead_runs
    from vae_lab.tracking.records import running
    from vae_lab.tracking.store import open_store

    cfg = compose_unchecked()
    uri = given.get("tracking.uri", cfg.tracking.uri)
    try:
        name = given.get("tracking.experiment_name", cfg.tracking.experiment_name)
        store = open_store(uri, name, existing=True)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    dead = close_dead_runs(store, claims_folder(uri, cfg.paths.outputs))
    for record in dead:
        if record.tags.get("vae_lab.kind") == "sweep":
            command = record.tags.get("vae_lab.command", "")
            print(f"{record.run_id}  sweep {record.name}: KILLED; repeat it to do what is missing:\n  {command}")
            continue
        kept = Checkpoints(Path(cfg.paths.checkpoints) / record.tags["vae_lab.evaluation"]).latest()
        then = f"would go on at epoch {kept.state['epoch']}" if kept else "would begin anew, in the same run"
        print(f"{record.run_id}  {record.name}: KILLED; its command {then}")
    print(f"{len(dead)} dead runs closed, {len(running(store))} run")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
