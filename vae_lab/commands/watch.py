"""Shows where a sweep stands, every few seconds, until it is over.

vae-lab watch                     the newest sweep
vae-lab watch sweep=RUN_ID once=true tracking.uri=sqlite:////path/mlflow.db
"""

import time

from vae_lab.console.command import Words, command
from vae_lab.errors import UsageError


def watch(words: Words) -> int:
    """Prints the table anew until the sweep is over."""
    from rich.live import Live

    from vae_lab.config.compose import compose_unchecked
    from vae_lab.console.terminal import console
    from vae_lab.console.watch import Watched, is_over, newest_sweep, shown
    from vae_lab.tracking.store import open_store

    given, tracking = words.given, compose_unchecked().tracking
    metric = given.get("metric", "test/elbo")
    try:
        pause = float(given.get("every", "3"))
    except ValueError:
        raise UsageError(f"every={given['every']} must be a number of seconds") from None
    if given.get("once", "true") not in ("true", "false"):
        raise UsageError(f"once={given['once']} must be true or false")
    store = open_store(
        given.get("tracking.uri", tracking.uri),
        given.get("tracking.experiment_name", tracking.experiment_name),
        existing=True,
    )
    watched = Watched(store, given.get("sweep") or newest_sweep(store))
    now = watched.look()
    if given.get("once") == "true":
        console().print(shown(now, metric))
        return 0
    with Live(shown(now, metric), console=console(), auto_refresh=False) as screen:
        while not is_over(now):
            time.sleep(pause)
            now = watched.look()
            screen.update(shown(now, metric), refresh=True)
    return 0


main = command(watch, __doc__, ("sweep", "once", "every", "metric", "tracking.uri", "tracking.experiment_name"))
