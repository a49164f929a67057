"""Shows where a sweep stands, every few seconds, until it is over.

python scripts/watch.py                     the newest sweep
python scripts/watch.py sweep=RUN_ID once=true tracking.uri=sqlite:////path/mlflow.db
"""

import sys
import time

from vae_lab.errors import UsageError

KEYS = ("sweep", "once", "every", "metric", "tracking.uri", "tracking.experiment_name")


def main(arguments: list[str]) -> int:
    """Prints the table anew until the sweep is over."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if set(given) - set(KEYS):
        print(__doc__, file=sys.stderr)
        return 2
    from rich.live import Live

    from vae_lab.config.compose import compose_unchecked
    from vae_lab.console.terminal import console
    from vae_lab.console.watch import is_over, newest_sweep, page, standing
    from vae_lab.tracking.store import open_store

    tracking = compose_unchecked().tracking
    metric = given.get("metric", "test/elbo")
    try:
        pause = float(given.get("every", "3"))
    except ValueError:
        print(f"every={given['every']} must be a number of seconds", file=sys.stderr)
        return 2
    try:
        store = open_store(
            given.get("tracking.uri", tracking.uri),
            given.get("tracking.experiment_name", tracking.experiment_name),
            existing=True,
        )
        sweep = given.get("sweep") or newest_sweep(store)
        now = standing(store, sweep)
        if given.get("once") == "true":
            console().print(page(now, metric))
            return 0
        with Live(page(now, metric), console=console(), auto_refresh=False) as screen:
            while not is_over(now):
                time.sleep(pause)
                now = standing(store, sweep)
                screen.update(page(now, metric), refresh=True)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
