"""Many configurations that differ in a few values, each as Hydra would compose it, but quickly."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vae_lab.config.checks.launching import check_hydra
from vae_lab.config.compose import compose_unchecked
from vae_lab.config.refusals import refusal
from vae_lab.errors import UsageError

Compose = Callable[[Sequence[str]], Any]  # overrides -> a configuration
TOP_LEVEL = ("seed", "latent_size")  # keys without a dot that hold values; others choose options


class Composer:
    """Lets Hydra compose each choice of options once, and lays the other overrides over copies, as Hydra itself does.

    What is no plain value (an added or deleted key, Hydra's own settings) is left to Hydra.
    """

    def __init__(self, compose: Compose):
        self._compose = compose
        self._parser = OverridesParser.create()
        self._known: dict[tuple[str, ...], Any] = {}

    def __call__(self, overrides: Sequence[str]) -> Any:
        """The configuration of these overrides, without Hydra's own node.

        Raises:
          UsageError: where it cannot be composed.
        """
        try:
            values = {text: one for text in overrides if is_value(one := self._parser.parse_override(text))}
            rest = tuple(text for text in overrides if text not in values)
            if rest not in self._known:
                self._known[rest] = without_hydra(self._compose(rest))
            cfg = self._known[rest].copy()
            try:
                for one in values.values():
                    OmegaConf.update(cfg, one.key_or_group, one.value(), merge=True)
            except OmegaConfBaseException:  # Hydra says it better
                return without_hydra(self._compose(overrides))
            return cfg
        except (HydraException, OmegaConfBaseException) as error:
            raise UsageError(refusal(error, overrides)) from None


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
