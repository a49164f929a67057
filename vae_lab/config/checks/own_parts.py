"""Metrics, pictures and callbacks of one's own: each has a name that is free, and a class that is there."""

import re
from collections.abc import Callable, Mapping

from vae_lab.config.checks.facts import Config
from vae_lab.config.checks.reading import shown
from vae_lab.config.checks.signatures import check_target
from vae_lab.errors import UsageError
from vae_lab.evaluation.pictures import PICTURES
from vae_lab.evaluation.quantities import is_quantity

# By group, which names are ours.
OWN: dict[str, Callable[[str], bool]] = {
    "evaluation.metrics": is_quantity,
    "evaluation.own_pictures": PICTURES.__contains__,
    "training.callbacks": ("running", "train", "val", "test", "perf", "gradient").__contains__,
}


def check_own_parts(cfg: Config) -> None:
    """Every entry of these groups is NAME: {_target_: CLASS, settings}."""
    for group, is_ours in OWN.items():
        of, _, kind = group.partition(".")
        node = cfg[of].get(kind)
        if node is None:
            continue  # a run of before there was such a group
        if not isinstance(node, Mapping):
            raise UsageError(f"{group}={shown(node)} must be a group of NAME: {{_target_: CLASS}}")
        for name, option in node.items():
            key = f"{group}.{name}"
            if not re.fullmatch(r"[A-Za-z]\w*", str(name)):
                raise UsageError(f"{key}: a name is of letters, digits and _, and begins with a letter")
            if is_ours(str(name)):
                raise UsageError(f"{key}: {name} is one of our own names; choose another")
            if not isinstance(option, Mapping) or not option.get("_target_"):
                raise UsageError(f"{key}={shown(option)} must be {{_target_: CLASS}}, with its settings")
            check_target(key, str(option["_target_"]), option)
