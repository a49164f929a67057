"""The command line's overrides: what Hydra lets pass and nothing would read."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from vae_lab.config.checks.facts import Resolved
from vae_lab.config.checks.lookups import check_interpolations
from vae_lab.config.checks.own_parts import OWN
from vae_lab.errors import UsageError

# Settings that a library's class may take beside those its option lists.
OPEN = ("optimizer.", "schedule.", "hydra.", *(f"{group}." for group in OWN))


def with_home(arguments: Iterable[str]) -> list[str]:
    """A command line whose values that begin with ~/ begin with the home: the shell and Hydra's grammar leave them.

    >>> with_home(["data.path=~/faces", "~study"])
    ['data.path=/home/me/faces', '~study']
    """
    home = str(Path.home())
    return [re.sub(r"(?<=[=,\[])~(?=/|$)", lambda _: home, argument) for argument in arguments]


def check_overrides(overrides: Iterable[str], cfg: Any) -> None:
    """Refuses an added key that no part reads, a fact, a key that is given twice, and what a file must not look up.

    Args:
      overrides: key=value, as on the command line.
      cfg: the configuration that they made.

    Raises:
      UsageError: naming the first such key, and the keys like it.
    """
    overrides, seen = list(overrides), set()
    if not isinstance(cfg, Resolved):  # else it has been looked at before it was resolved
        check_interpolations(cfg, overrides)
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if key in seen:
            raise UsageError(f"{key} is given twice; give it once")
        seen.add(key)
        axis, _, leaf = key.partition(".")
        if leaf.split(".")[0] == "facts" and axis in cfg:
            raise UsageError(f"{key}: facts are what {axis}={cfg[axis].get('name')} is, and no setting; leave it out")
        if leaf == "name" and axis in cfg:
            raise UsageError(f"{override}: the name is the option's own; choose another by {axis}=, or leave it out")
        if override.startswith("+") and not key.startswith(OPEN):
            settings = cfg if isinstance(cfg, dict) else OmegaConf.to_container(cfg, resolve=False)
            known = known_keys(cast(dict[str, Any], settings))
            like = difflib.get_close_matches(key, [other for other in known if other != key], n=3)
            meant = f"; did you mean {' or '.join(like)}?" if like else ""
            raise UsageError(f"{override}: there is no setting {key}, and nothing would read it{meant}")


def known_keys(node: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The keys of a configuration, with dots, groups as well as settings."""
    keys = []
    for key, value in node.items():
        keys.append(f"{prefix}{key}")
        keys += known_keys(value, f"{prefix}{key}.") if isinstance(value, Mapping) else []
    return keys
