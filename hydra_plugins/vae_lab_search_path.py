"""Hydra's door to a project of one's own: its conf/ stands on the search path, whoever composes."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from vae_lab.config.options import check_own
from vae_lab.config.project import use_project


class ProjectSearchPath(SearchPathPlugin):
    """Adds the project's options, behind the built-in ones."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if (found := use_project()) is not None:
            check_own(found)
            search_path.append("vae_lab project", f"file://{found.conf}")
