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

    try:
        loaded = vae_lab.load_run(run_id, *(f"{key}={value}" for key, value in given.items()), tracking_uri=uri)
        metrics = loaded.metrics(*splits)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    screen = Table("metric", "logged", "now", "relative difference", title=f"{loaded.record.name} ({run_id})")
    worst = 0.0
    for key, now in metrics.items():
        logged = loaded.record.metrics.get(key)
        difference = abs(now - logged) / max(abs(logged), 1e-12) if logged is not None else None
        worst = max(worst, difference or 0.0)
        screen.add_row(
            key,
            "" if logged is None else f"{logged:.6f}",
            f"{now:.6f}",
            "" if difference is None else f"{difference:.1e}",
        )
    Console().print(screen)
    changed = [key for key in given if key.startswith("evaluation.")]
    return 1 if worst > 1e-6 and not changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
