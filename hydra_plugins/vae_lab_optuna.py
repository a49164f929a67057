"""Hydra's door to `vae_lab.sweep.search`: plugins must live in the package `hydra_plugins`."""

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Searches a space by Optuna: a study in a database, that goes on where it was cut off."""

    def __init__(self, **settings: Any):
        """`settings`: conf/hydra/sweeper/optuna.yaml, which the search reads from the composed configuration."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        from vae_lab.sweep.search import search

        loader = self.hydra_context.config_loader
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=self.config
        )
        return search(
            self.config,
            arguments,
            parse=OverridesParser.create(config_loader=loader).parse_overrides,
            compose=lambda overrides: loader.load_sweep_config(self.config, list(overrides)),
            launch=lambda batch: launcher.launch(batch, initial_job_idx=0),
        )
