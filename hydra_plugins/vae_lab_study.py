"""Hydra's door to `vae_lab.sweep`: plugins must live in the package `hydra_plugins`."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Runs arms x seeds of an experiment file, or the product of the command line's comma lists."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        from vae_lab.sweep.multirun import multirun

        loader = self.hydra_context.config_loader
        given: dict[str, Sequence[str]] = {}
        for override in OverridesParser.create(config_loader=loader).parse_overrides(arguments):
            key = override.get_key_element()
            if override.is_sweep_override():
                given[key] = list(override.sweep_string_iterator())
            else:
                given[key] = [override.get_value_element_as_str()]
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=self.config
        )
        return multirun(
            self.config,
            given,
            compose=lambda overrides: loader.load_sweep_config(self.config, list(overrides)),
            launch=lambda batch: launcher.launch(batch, initial_job_idx=0),
        )
