"""Many configurations that differ in a few values, each as Hydra would compose it, but quickly."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vae_lab.config.checks import resolved
from vae_lab.config.checks.facts import Resolved
from vae_lab.config.checks.launching import check_hydra
from vae_lab.config.checks.lookups import check_interpolations
from vae_lab.config.compose import compose_unchecked
from vae_lab.config.refusals import refusal
from vae_lab.errors import UsageError

Compose = Callable[[Sequence[str]], Any]  # overrides -> a configuration
TOP_LEVEL = ("seed", "latent_size")  # keys without a dot that hold values; others choose options


@dataclass(frozen=True)
class _Composed:
    """What Hydra has composed of a choice of options.

    Attributes:
      cfg: it.
      resolved: its values; None where some are missing, and have to be given.
      words: those that its interpolations are made of: a key with one of them may change other keys too.
    """

    cfg: Any
    resolved: Resolved | None
    words: set[str]

    @classmethod
    def of(cls, cfg: Any) -> "_Composed":
        """Keeps a configuration."""
        try:
            values = resolved(cfg)
        except UsageError:
            values = None
        return cls(cfg, values, set(re.findall(r"\w+", " ".join(interpolations(OmegaConf.to_container(cfg))))))

    def with_values(self, values: Sequence[Override], given: Sequence[str]) -> Resolved:
        """The configuration with values laid over it; `given` is the whole command line."""
        quick = None if self.resolved is None else Resolved.of(self.resolved)
        if quick is not None and all(self._set(quick, one) for one in values):
            return quick
        cfg = self.cfg.copy()
        for one in values:
            OmegaConf.update(cfg, one.key_or_group, one.value(), merge=True)
        check_interpolations(cfg, given)
        return resolved(cfg)

    def _set(self, node: Any, one: Override) -> bool:
        """Sets a plain value of a key that there is and that no other follows; False where it is not so simple."""
        value = one.value()
        *groups, leaf = keys = one.key_or_group.split(".")
        if isinstance(value, dict) or "${" in str(value) or self.words & set(keys):
            return False
        for group in groups:
            node = node.get(group) if isinstance(node, dict) else None
        if not isinstance(node, dict) or leaf not in node or isinstance(node[leaf], dict):
            return False
        node[leaf] = value
        return True


class Composer:
    """Lets Hydra compose each choice of options once, and lays the other overrides over copies, as Hydra itself does.

    What is no plain value (an added or deleted key, Hydra's own settings) is left to Hydra.
    """

    def __init__(self, compose: Compose):
        self._compose = compose
        self._parse = lru_cache(maxsize=None)(OverridesParser.create().parse_override)
        self._known: dict[tuple[str, ...], _Composed] = {}

    def __call__(self, overrides: Sequence[str]) -> Resolved:
        """The configuration of these overrides, without Hydra's own node.

        Raises:
          UsageError: where it cannot be composed, a setting has no value, or a file looks up what it must not.
        """
        try:
            values = {text: one for text in overrides if is_value(one := self._parse(text))}
            rest = tuple(text for text in overrides if text not in values)
            if rest not in self._known:
                self._known[rest] = _Composed.of(self._looked_at(rest))
            try:
                return self._known[rest].with_values(list(values.values()), overrides)
            except OmegaConfBaseException:  # Hydra says it better
                return resolved(self._looked_at(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise UsageError(refusal(error, overrides)) from None

    def _looked_at(self, overrides: Sequence[str]) -> Any:
        """What Hydra composes, nothing resolved yet, which looks nothing up that a file must not."""
        cfg = without_hydra(self._compose(overrides))
        check_interpolations(cfg, overrides)
        return cfg


def compose_chosen(overrides: Sequence[str]) -> tuple[Any, dict[str, str | None]]:
    """A configuration without Hydra's own node, not checked, and by axis the option that was chosen.

    Raises:
      UsageError: where it cannot be composed.
    """
    try:
        cfg = compose_unchecked(*overrides, with_hydra=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(refusal(error, overrides)) from None
    return without_hydra(cfg), dict(cfg.hydra.runtime.choices)


def interpolations(node: Any) -> Iterator[str]:
    """The texts in a configuration that are made of others."""
    if isinstance(node, str) and "${" in node:
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from interpolations(value)


def is_value(override: Override) -> bool:
    """Whether an override sets a key that the configuration has to one value."""
    key = override.key_or_group
    changes = override.is_add() or override.is_delete() or override.is_force_add() or override.is_sweep_override()
    dotted = "." in key and not key.startswith("hydra")
    return not changes and override.package is None and (dotted or key in TOP_LEVEL)


def without_hydra(cfg: Any) -> Any:
    """A composed configuration without Hydra's own node, which is looked at as that of the whole sweep was."""
    if "hydra" in cfg:
        check_hydra(cast(dict[str, Any], OmegaConf.to_container(cfg.hydra, resolve=False)))
    copy = OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"])
    OmegaConf.set_struct(copy, True)  # which the copy has lost: a key that there is not would be made
    return copy
