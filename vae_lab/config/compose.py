"""From the command line, or a run's own file, to a configuration; and a configuration as plain values."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vae_lab.config.checks import check
from vae_lab.config.checks.facts import Resolved
from vae_lab.config.checks.lookups import check_interpolations, check_resolved
from vae_lab.config.checks.own_parts import OWN
from vae_lab.config.credentials import kept_apart
from vae_lab.config.options import CONF, PACKAGE
from vae_lab.config.project import project, use_project
from vae_lab.errors import UsageError

# What a configuration holds beside the model, its training and its evaluation.
NOT_OF_THE_MODEL = ("paths", "sweep", "study", "short", "tracking")


def home() -> str:
    """Where runs are kept: VAE_LAB_HOME, else the project, else the checkout, else the current directory."""
    found = project()
    checkout = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else Path.cwd()
    place = os.environ.get("VAE_LAB_HOME", checkout if found is None else found.root)
    return str(Path(place).expanduser().resolve())


OmegaConf.register_new_resolver("vae_lab.home", home, replace=True)


def compose(*overrides: str) -> Any:
    """Composes and checks a run's configuration from Python, by the overrides of the command line.

    Examples:
      >>> cfg = compose("data=mnist", "prior=mixture", "prior.components=25")
    """
    cfg = compose_unchecked(*overrides)
    check_interpolations(cfg, overrides)
    check(cfg)
    return cfg


def compose_unchecked(*overrides: str, with_hydra: bool = False) -> Any:
    """Composes a configuration that need not be able to run; also within a program that Hydra runs.

    Args:
      *overrides: of the command line.
      with_hydra: whether Hydra's own node is wanted, too.
    """
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return hydra_compose("train", list(map(kept_apart, overrides)), return_hydra_config=with_hydra)
    finally:
        GlobalHydra.instance().hydra = outer


def default_tracking_uri() -> str:
    """Where runs are tracked when no option says otherwise."""
    return compose_unchecked().tracking.uri


def plain(cfg: Any) -> dict[str, Any]:
    """A configuration as nested dicts and lists, all interpolations resolved."""
    if isinstance(cfg, Resolved):
        return cfg.plain()
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))


def to_yaml(cfg: Any) -> str:
    """A configuration as YAML, all interpolations resolved."""
    return OmegaConf.to_yaml(OmegaConf.create(plain(cfg)))


def from_yaml(text: str, overrides: Sequence[str] = ()) -> Any:
    """The configuration that `to_yaml` wrote, with `key=value` changes of keys it has.

    Raises:
      UsageError: when it has no such key, lacks one that there is now, or holds what is no value: it is a file like
        any other, and somebody else may have written it.
    """
    use_project()
    cfg = OmegaConf.create(text)
    check_resolved(cfg)
    OmegaConf.set_struct(cfg, True)
    for group in OWN:
        if OmegaConf.is_dict(node := OmegaConf.select(cfg, group)):
            OmegaConf.set_struct(node, False)
    for override in overrides:
        try:
            cfg.merge_with(OmegaConf.from_dotlist([override]))
        except YAMLError as error:
            raise UsageError(f"{override} is no YAML") from error
        except OmegaConfBaseException as error:
            raise UsageError(f"{override}: the run's configuration has no such key") from error
    try:
        check(cfg)
    except (AttributeError, KeyError) as error:  # a setting that a check reads is not there
        raise UsageError(f"the configuration is of another version of vae_lab: {error}") from None
    return cfg


def evaluation_of(text: str, changes: Sequence[str]) -> Any:
    """A run's configuration, as `to_yaml` wrote it, with other settings of its evaluation or places of its data.

    Raises:
      UsageError: when a change is none of these, or of a key that there is not.
    """
    for change in changes:
        if not change.startswith(("evaluation.", "data.dir=", "data.path=")):
            raise UsageError(
                f"{change} would make another run of it; only evaluation.*, data.dir and data.path can be changed"
            )
    return from_yaml(text, changes)


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, by dotted keys; lists are leaves."""
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves
