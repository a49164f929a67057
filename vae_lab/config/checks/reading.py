"""Settings as a check reads them: by dotted key, as numbers, and as the command line writes them."""

import math
from collections.abc import Sequence
from typing import Any

from vae_lab.config.checks.facts import Config


def is_list(value: Any) -> bool:
    """Whether a setting is a list, and no text."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def is_number(value: Any) -> bool:
    """Whether a setting is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_count(value: Any, least: int = 1) -> bool:
    """Whether a setting is a whole number of at least so many."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def as_number(value: Any) -> float:
    """A number; NaN for what is none."""
    return float(value) if is_number(value) else math.nan


def shown(value: Any) -> str:
    """A value as the command line writes it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(list(value)) if is_list(value) else str(value)


def values_of(cfg: Config, key: str) -> list[Any]:
    """The value of a dotted key, as a list of one; of none where the configuration has no such key."""
    node = cfg
    for name in key.split("."):
        if name not in node:
            return []
        node = node[name]
    return [node]
