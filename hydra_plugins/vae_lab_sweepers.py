"""Hydra's door to `vae_lab.sweep`: plugins must live in the package `hydra_plugins`."""

import sys
from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from vae_lab.errors import UsageError


class LabSweeper(Sweeper):
    """What a sweep needs of Hydra."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader = hydra_context.config_loader
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def parse(self, arguments: list[str]) -> list[Override]:
        """The command line's overrides."""
        return OverridesParser.create(config_loader=self.loader).parse_overrides(arguments)

    def actions(self) -> dict[str, Any]:
        """`compose`: overrides -> one job's configuration; `launch`: lists of overrides -> Hydra's job returns.

        `launch_apart` is `launch` for many structures, where the launcher has no processes of its own.
        """
        from vae_lab.sweep.apart import Apart

        alone = isinstance(self.launcher, BasicLauncher) or self.config.hydra.launcher.get("n_jobs") == 1
        return {
            "compose": lambda overrides: self.loader.load_sweep_config(self.config, list(overrides)),
            "launch": lambda batch: self.launcher.launch(batch, initial_job_idx=0),
            "launch_apart": Apart(self.launcher) if alone else None,
        }


class StudySweeper(LabSweeper):
    """Runs arms x seeds of an experiment file, or the product of the command line's comma lists."""

    def sweep(self, arguments: list[str]) -> Any:
        from vae_lab.sweep.multirun import multirun

        try:
            return multirun(self.config, self.values_by_key(arguments), **self.actions())
        except UsageError as error:
            print(error, file=sys.stderr)
            sys.exit(2)

    def values_by_key(self, arguments: list[str]) -> dict[str, Sequence[str]]:
        """The command line's overrides: by key, their values in Hydra's text.

        Raises:
          UsageError: where a key is given twice, or a sweep has no list of values.
        """
        given: dict[str, Sequence[str]] = {}
        for override in self.parse(arguments):
            key = override.get_key_element()
            if key in given:
                raise UsageError(f"{key} is given twice; give it once, its values in one list")
            if not override.is_sweep_override():
                given[key] = [override.get_value_element_as_str()]
            elif override.is_discrete_sweep():
                given[key] = list(override.sweep_string_iterator())
                if not given[key]:
                    raise UsageError(f"{override.input_line} has no value; give it one or more")
                if twice := [value for value in given[key] if given[key].count(value) > 1]:
                    raise UsageError(f"{key} is given the value {twice[0]} twice; give it once")
            else:
                raise UsageError(f"{override.input_line} has no list of values; use commas, choice(...) or range(...)")
        return given


class OptunaSweeper(LabSweeper):
    """Searches a space by Optuna: a study in a database, that goes on where it was cut off."""

    def __init__(self, **settings: Any):
        """`settings`: conf/hydra/sweeper/optuna.yaml, which the search reads from the composed configuration."""

    def sweep(self, arguments: list[str]) -> Any:
        from vae_lab.search.search import search

        return search(self.config, arguments, parse=self.parse, **self.actions())
