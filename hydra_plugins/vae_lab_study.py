"""Hydra's door to `vae_lab.sweep`: plugins must live in the package `hydra_plugins`."""

import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from vae_lab.errors import UsageError


class StudySweeper(Sweeper):
    """Runs arms x seeds of an experiment file, or the product of the command line's comma lists."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        from vae_lab.sweep.multirun import multirun

        loader = self.hydra_context.config_loader
        try:
            given = self.values_by_key(arguments)
        except UsageError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=self.config
        )
        return multirun(
            self.config,
            given,
            compose=lambda overrides: loader.load_sweep_config(self.config, list(overrides)),
            launch=lambda batch: launcher.launch(batch, initial_job_idx=0),
        )

    def values_by_key(self, arguments: list[str]) -> dict[str, Sequence[str]]:
        """The command line's overrides: by key, their values in Hydra's text.

        Raises:
          UsageError: where a key is given twice, or a sweep has no list of values.
        """
        given: dict[str, Sequence[str]] = {}
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        for override in parser.parse_overrides(arguments):
            key = override.get_key_element()
            if key in given:
                raise UsageError(f"{key} is given twice; give it once, its values in one list")
            if not override.is_sweep_override():
                given[key] = [override.get_value_element_as_str()]
            elif override.is_discrete_sweep():
                given[key] = list(override.sweep_string_iterator())
            else:
                raise UsageError(f"{override.input_line} has no list of values; use commas, choice(...) or range(...)")
        return given
