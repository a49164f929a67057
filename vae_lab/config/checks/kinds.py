"""Each setting is there, and of the kind that its option's file gives it."""

import difflib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vae_lab.config.checks.facts import AXES, Config, Resolved
from vae_lab.config.checks.lookups import check_interpolations
from vae_lab.config.checks.own_parts import OWN
from vae_lab.config.checks.reading import shown, values_of
from vae_lab.config.options import CONF, NO_PACKAGE, option_file, option_names
from vae_lab.errors import UsageError

# Where null has a meaning, or a check of its own.
MAY_BE_NULL = ("estimator.cycle_epochs", "data.split_seed", "data.dir", "tracking.artifacts")
NO_BOOLEAN_ALONE = ("evaluation.pictures",)  # it may be a list, too, and has a check of its own
GROUPS = ("training", "evaluation", "tracking")
CLOSED = (*GROUPS, "data", "binarization")  # no class's signature says what these take
OF_SWEEPS = ("sweep", "paths")  # groups of train.yaml itself


def resolved(cfg: Config) -> Resolved:
    """A configuration with all its interpolations resolved, once for whoever reads it.

    Raises:
      UsageError: where a setting has no value, is made of one that there is not, or would be looked up elsewhere.
    """
    if isinstance(cfg, Resolved):
        return cfg
    check_interpolations(cfg)
    try:
        return Resolved.of(OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise UsageError(_first_without(OmegaConf.to_container(cfg, resolve=False), cfg, "") or str(error)) from None


def _first_without(node: Any, cfg: Config, prefix: str) -> str | None:
    """What to say of the first setting without a value."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if told := _first_without(value, cfg, f"{name}."):
                return told
            continue
        try:
            OmegaConf.select(cfg, name, throw_on_missing=True)
        except OmegaConfBaseException as error:
            missing = "has no value" if value == "???" else f"has no value ({str(error).splitlines()[0]})"
            return f"{name}={value} {missing}; give it one, or leave it out"
    return None


def check_known(cfg: Config) -> None:
    """Nothing is set that nothing would read; keys that begin with _ are the user's own, for others to look up."""
    if "experiment" in cfg:
        raise UsageError(NO_PACKAGE)
    known = sorted(top_level((CONF / "train.yaml").stat().st_mtime_ns))
    _require_known([key for key in cfg if not str(key).startswith("_")], known)
    for group in (*CLOSED, *OF_SWEEPS):
        stated = [key for key, _ in _stated(None if group in OF_SWEEPS else group, cfg)]
        if stated and isinstance(cfg.get(group), dict):
            given = [key for key, _ in _leaves(cfg[group], f"{group}.") if not key.startswith(f"{group}.facts.")]
            _require_known(given, stated)


def _require_known(given: Iterable[Any], known: Sequence[str]) -> None:
    for key in map(str, given):
        is_group = any(one.startswith(f"{key}.") for one in known)  # whether it is one, is asked of it elsewhere
        if key not in known and not is_group and not f"{key}.".startswith(tuple(f"{group}." for group in OWN)):
            like = difflib.get_close_matches(key, known, n=2)
            meant = f"did you mean {' or '.join(like)}?" if like else "leave it out"
            raise UsageError(f"there is no setting {key}, and nothing would read it; {meant}")


@lru_cache(maxsize=1)
def top_level(changed: int) -> frozenset[str]:
    """The keys of a configuration: those of train.yaml, and the groups that it chooses from."""
    content: Any = OmegaConf.to_container(OmegaConf.load(CONF / "train.yaml"))
    chosen = {key for entry in content["defaults"] if isinstance(entry, dict) for key in entry}
    return frozenset(content) - {"defaults"} | {key for key in chosen if "/" not in key} - {"experiment"}


def check_kinds(cfg: Config) -> None:
    """No group is a value and no truth value is another thing."""
    for axis in (None, *GROUPS, *AXES):
        if axis is not None and not isinstance(cfg.get(axis), dict):
            raise UsageError(f"{axis}={shown(cfg.get(axis))} must be a group of settings; leave it out")
        for key, default in _stated(axis, cfg):
            _check_kind(cfg, key, default)


def _check_kind(cfg: Config, key: str, default: Any) -> None:
    node: Any = cfg
    *groups, leaf = key.split(".")
    for place, name in enumerate(groups):
        if name not in node:
            return  # a run of before there was such a setting
        node = node[name]
        if not isinstance(node, dict):
            group = ".".join(groups[: place + 1])
            raise UsageError(f"{group}={shown(node)} must be a group of settings, such as {key}; leave it out")
    value = node.get(leaf, default)
    if isinstance(default, bool) and not isinstance(value, bool) and key not in NO_BOOLEAN_ALONE:
        raise UsageError(f"{key}={shown(value)} must be true or false")


def check_nulls(cfg: Config) -> None:
    """Nothing is null where null means nothing."""
    for axis in (None, *GROUPS, *AXES):
        for key, default in _stated(axis, cfg):
            for value in values_of(cfg, key):
                if value is None and default is not None and key not in MAY_BE_NULL:
                    such = "" if isinstance(default, str) and "${" in default else f", such as {shown(default)}"
                    raise UsageError(f"{key}=null must have a value{such}; null has no meaning there")


def _stated(axis: str | None, cfg: Config) -> tuple[tuple[str, Any], ...]:
    """The settings of an option's file, of a group's, or of train.yaml itself, with their defaults."""
    name = None if axis is None else option_names(axis)[0] if axis in GROUPS else cfg[axis].get("name")
    path = CONF / "train.yaml" if axis is None else option_file(axis, str(name))
    return _settings_in(axis, path, path.stat().st_mtime_ns) if path.is_file() else ()


@lru_cache(maxsize=256)
def _settings_in(axis: str | None, path: Path, changed: int) -> tuple[tuple[str, Any], ...]:
    content: Any = OmegaConf.to_container(OmegaConf.load(path))
    if axis is None:
        return tuple(_leaves({key: value for key, value in content.items() if key not in ("defaults", "hydra")}, ""))
    settings = content.get(axis, content)
    return tuple(_leaves({key: value for key, value in settings.items() if key != "facts"}, f"{axis}."))


def _leaves(node: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found = []
    for key, value in node.items():
        found += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return found
