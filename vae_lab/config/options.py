"""The options: the YAML files of conf/, a folder an axis."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from vae_lab.errors import UsageError, told

PACKAGE = Path(__file__).resolve().parent.parent
# In a checkout conf/ lies beside the package, in an installed package inside it.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"


def option_names(axis: str) -> list[str]:
    """What an axis can be: the YAML files of its folder."""
    return sorted(path.stem for path in (CONF / axis).glob("*.yaml"))


def read_option(axis: str, name: str) -> Any:
    """An option's own settings and facts, or the content of an experiment file."""
    path = CONF / axis / f"{name}.yaml"
    try:
        return OmegaConf.load(path)
    except (YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise UsageError(broken(error, path)) from None


def broken(error: Exception, path: Path | None = None) -> str:
    """What is wrong with a file of options, and in which line: a fault of YAML, letters of another encoding.

    Args:
      error: what reading it has raised.
      path: the file, where that is known; else it is looked for.
    """
    if isinstance(error, MarkedYAMLError) and (mark := error.problem_mark) is not None:
        return f"{mark.name}, line {mark.line + 1}: {error.problem}; this is not YAML as it stands"
    if isinstance(error, UnicodeDecodeError):
        for file in [path] if path else sorted(CONF.rglob("*.yaml")):
            for number, line in enumerate(file.read_bytes().splitlines(), 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return f"{file}, line {number}: these letters are not in UTF-8; save the file in it"
        seen = error.object[: error.end].decode("latin-1").splitlines()
        return (
            f"line {len(seen)} of the experiment's file ends {seen[-1]!r}, which is not in UTF-8; save the file in it"
        )
    return f"{path or 'a file of options'}: {told(error)}"


def stated_facts(axis: str, name: str) -> dict[str, Any] | None:
    """The facts that an option's file states; None where the option is none of this package's."""
    path = CONF / axis / f"{name}.yaml"
    return _facts(axis, path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=256)
def _facts(axis: str, path: Path, changed: int) -> dict[str, Any]:
    option = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(option, dict)
    return option.get(axis, option).get("facts") or {}
