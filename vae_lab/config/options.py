"""The options: the YAML files of conf/, a folder an axis."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

PACKAGE = Path(__file__).resolve().parent.parent
# In a checkout conf/ lies beside the package, in an installed package inside it.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"


def option_names(axis: str) -> list[str]:
    """What an axis can be: the YAML files of its folder."""
    return sorted(path.stem for path in (CONF / axis).glob("*.yaml"))


def read_option(axis: str, name: str) -> Any:
    """An option's own settings and facts, or the content of an experiment file."""
    return OmegaConf.load(CONF / axis / f"{name}.yaml")


def stated_facts(axis: str, name: str) -> dict[str, Any] | None:
    """The facts that an option's file states; None where the option is none of this package's."""
    path = CONF / axis / f"{name}.yaml"
    return _facts(axis, path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=256)
def _facts(axis: str, path: Path, changed: int) -> dict[str, Any]:
    option = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(option, dict)
    return option.get(axis, option).get("facts") or {}
