"""What MLflow takes as a metric's name."""

import re

from vae_lab.errors import UsageError

NAME = re.compile(r"[\w.\- :]+(/[\w.\- :]+)*")
LENGTH = 250


def require_metric_name(key: str) -> None:
    """Raises UsageError for a name that the store would refuse, before its row waits with others."""
    if not NAME.fullmatch(key) or len(key) > LENGTH or {".", ".."} & set(key.split("/")):
        raise UsageError(
            f"the metric {key[:LENGTH]!r} has a name that MLflow refuses: letters, digits, _ - . : / and spaces make "
            f"one, {LENGTH} at most"
        )
