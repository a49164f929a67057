"""Computes a finished run's metrics again from its weights, or with other evaluation settings.

python scripts/evaluate.py run=RUN_ID
python scripts/evaluate.py run=RUN_ID evaluation.importance_samples=5000 tracking.uri=sqlite:////path/mlflow.db
python scripts/evaluate.py run=RUN_ID splits=train,val,test

`splits` names those that are evaluated, with a log-likelihood each.
"""

import sys

from vae_lab.errors import UsageError

USAGE = __doc__


def main(arguments: list[str]) -> int:
    """Prints each metric as logged and as computed now; returns 1 if an equal evaluation gives other numbers."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    run_id, uri = given.pop("run", None), given.pop("tracking.uri", None)
    splits = [name for name in given.pop("splits", "").split(",") if name]
    if not run_id or "" in given.values():
        print(USAGE)
        return 2
    from rich.console import Console
    from rich.table import Table

    import vae_lab
    from vae_lab.compose import default_tracking_uri
    from vae_lab.tracking.records import metric_at
    from vae_lab.tracking.store import open_store

    try:
        loaded = vae_lab.load_run(run_id, *(f"{key}={value}" for key, value in given.items()), tracking_uri=uri)
        metrics = loaded.metrics(*splits)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    store, epoch = open_store(uri or default_tracking_uri()), int(loaded.record.tags["vae_lab.epoch"])
    screen = Table("metric", "logged", "now", "relative difference", title=f"{loaded.record.name} ({run_id})")
    alike = True
    for key, now in metrics.items():
        # By the epoch whose weights were kept, of which a validated metric's last value need not be.
        logged = metric_at(store, run_id, key, epoch)
        difference = abs(now - logged) / max(abs(logged), 1e-12) if logged is not None else None
        alike = alike and (difference is None or difference <= 1e-6)  # which NaN is not
        screen.add_row(
            key,
            "" if logged is None else f"{logged:.6f}",
            f"{now:.6f}",
            "" if difference is None else f"{difference:.1e}",
        )
    Console().print(screen)
    changed = [key for key in given if key.startswith("evaluation.")]
    return 0 if alike or changed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
