"""The options: the YAML files of conf/, a folder an axis; and those of a project of one's own beside them."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from vae_lab.config.project import Project, project
from vae_lab.errors import UsageError, told

PACKAGE = Path(__file__).resolve().parent.parent
# In a checkout conf/ lies beside the package, in an installed package inside it.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"

NO_PACKAGE = "an experiment's file begins with the line `# @package _global_`, and this one does not; write it there"
NAMED = ("encoder", "decoder", "posterior", "prior", "likelihood", "estimator")  # whose options are classes


def is_installed() -> bool:
    """Whether this package is an installed one, and no checkout."""
    return CONF.parent == PACKAGE


def command_of(subcommand: str) -> str:
    """How a person starts a subcommand: by the installed command, or in a checkout by its script."""
    if is_installed() or project() is not None:
        return f"vae-lab {subcommand}"
    return f"python scripts/{'download_data' if subcommand == 'data' else subcommand}.py"


def folders() -> list[Path]:
    """Where options are: in this package's conf/, and in the project's, where there is one."""
    found = project()
    return [CONF] if found is None else [CONF, found.conf]


def check_own(found: Project) -> None:
    """Raises UsageError where an option of a project has a built-in one's name, or does not say what it is."""
    for path in sorted(found.conf.rglob("*.yaml")):
        place = path.relative_to(found.conf)
        if (CONF / place).is_file():
            raise UsageError(f"{path}: {place.with_suffix('')} is a built-in option; give your own another name")
        if place.parent.name in NAMED and len(place.parts) == 2:
            check_named(place.parent.name, path)


def check_named(axis: str, path: Path) -> None:
    """Raises UsageError where a part's file does not say its own name and its class."""
    content = read_option(axis, path.stem)
    option: Any = content.get(axis, content) if OmegaConf.is_dict(content) else {}
    for key, such in (("name", path.stem), ("_target_", "package.module.Class")):
        if not isinstance(option.get(key), str):
            raise UsageError(f"{path} has no {key}; write it there, as in {key}: {such}")
    if option.name != path.stem:
        raise UsageError(f"{path} has name: {option.name}; an option is called as its file is, name: {path.stem}")


def option_names(axis: str) -> list[str]:
    """What an axis can be: the YAML files of its folders."""
    return sorted(path.stem for folder in folders() for path in (folder / axis).glob("*.yaml"))


def option_file(axis: str, name: str) -> Path:
    """An option's file; where there is none, where it would be among the built-in ones."""
    places = [folder / axis / f"{name}.yaml" for folder in folders()]
    return next((path for path in places if path.is_file()), places[0])


def read_option(axis: str, name: str) -> Any:
    """An option's own settings and facts, or the content of an experiment file."""
    path = option_file(axis, name)
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
        for file in [path] if path else [file for folder in folders() for file in sorted(folder.rglob("*.yaml"))]:
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
    """The facts that an option's file states; None where the option has no file there."""
    path = option_file(axis, name)
    return _facts(axis, path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=256)
def _facts(axis: str, path: Path, changed: int) -> dict[str, Any]:
    option = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(option, dict)
    return option.get(axis, option).get("facts") or {}
