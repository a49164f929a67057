"""Which values a configuration may take from elsewhere: its own settings, and of the environment what says where.

The environment holds secrets, and what a configuration holds is written into the store. So a file may read VAE_LAB_*
alone. The command line, which is the user's own word, may read any variable for a place: it is asked for there, is
checked to be one, and its password is kept apart (config/credentials.py).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from vae_lab.errors import UsageError

RESOLVERS = ("vae_lab.home", "oc.select", "now", "hydra", "oc.env")
OURS = "VAE_LAB_"
PLACES = ("tracking.uri", "tracking.artifacts", "data.dir", "data.path", "paths.", "hydra.")
BEGINS = re.compile(r"\s*([\w.@\[\]-]*)\s*([:}])\s*")
VARIABLE = re.compile(r"(\w+)\s*[,}]")


def check_interpolations(cfg: Any, given: Iterable[str] | None = None) -> None:
    """Refuses what would run a resolver that is none of ours, or read the environment for no place.

    Args:
      cfg: a configuration as it was composed, nothing resolved.
      given: the overrides of the command line; None where these have been looked at before.

    Raises:
      UsageError: naming the first such key and its text.
    """
    words = None if given is None else tuple(word.lstrip("+") for word in given)
    for key, text in texts_in(OmegaConf.to_container(cfg, resolve=False)):
        if "${" in text and (why := why_refused(key, text, words)):
            raise UsageError(f"{key}={text}: {why}")


def check_resolved(cfg: Any) -> None:
    """Refuses any interpolation: a run's stored configuration has none, unless somebody has put it there."""
    for key, text in texts_in(OmegaConf.to_container(cfg, resolve=False)):
        if "${" in text:
            raise UsageError(f"{key}={text}: a run's configuration holds values; this is none, and is not looked up")


def texts_in(node: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each text of nested mappings and lists, by its dotted key; names of keys are texts, too."""
    entries = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for name, value in entries:
        if isinstance(value, str):
            yield f"{prefix}{name}", value
        yield from texts_in(value, f"{prefix}{name}.")


def why_refused(key: str, text: str, words: tuple[str, ...] | None) -> str | None:
    """Why a text with interpolations must not be resolved; None where it may be."""
    for begin in re.finditer(r"\$\{", text):
        found = BEGINS.match(text, begin.end())
        if found is None or (found[2] == ":" and found[1] not in RESOLVERS):
            return f"an interpolation may name another setting, or be one of {', '.join(RESOLVERS)}"
        if found[1] != "oc.env" or found[2] != ":":
            continue
        variable = VARIABLE.match(text, found.end())
        if variable and variable[1].startswith(OURS):
            continue
        if not key.startswith(PLACES):
            return f"variables of the environment other than {OURS}* may say where things are, and nothing else"
        if words is not None and not any(word.startswith(f"{key}=") for word in words):
            return f"a file may read {OURS}* of the environment, and nothing else; give this on the command line"
    return None
