"""A project of its own: a folder beside this package with options, experiments and parts that somebody else writes.

Its pyproject.toml says so:

    [tool.vae_lab]
    conf = "conf"                # its options and experiments, in folders as in this package's conf/
    packages = ["my_project"]    # its parts, which Python finds from the folder of pyproject.toml
"""

import os
import sys
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vae_lab.errors import UsageError

CHECKOUT = Path(__file__).resolve().parent.parent.parent  # where this package is none that was installed
VARIABLE = "VAE_LAB_PROJECT"  # names the folder, for workers on other machines and for notebooks elsewhere
KEYS = {"conf": str, "packages": list}


@dataclass(frozen=True)
class Project:
    """Where a project has what.

    Attributes:
      root: the folder that holds pyproject.toml.
      conf: its options and experiments.
      packages: names of its packages, which `_target_` may name.
    """

    root: Path
    conf: Path
    packages: tuple[str, ...]


def project() -> Project | None:
    """The project that the current folder, or VAE_LAB_PROJECT, lies in; None where that is none.

    Raises:
      UsageError: where its pyproject.toml cannot be understood.
    """
    named = os.environ.get(VARIABLE)
    try:
        here = Path(named).expanduser() if named else Path.cwd()
    except FileNotFoundError:  # the current folder was deleted
        return None
    for folder in [here.absolute(), *([] if named else here.absolute().parents)]:
        file = folder / "pyproject.toml"
        if file.is_file() and (found := read_project(file, file.stat().st_mtime_ns)):
            return found
    if named:
        raise UsageError(f"{VARIABLE}={named} has no pyproject.toml with [tool.vae_lab]; name the project's folder")
    return None


def use_project() -> Project | None:
    """The project, if there is one, with its packages where Python finds them, here and in processes that this starts.

    These find this package where it is here, too: an environment of several checkouts has installed one of them.

    Raises:
      UsageError: where its pyproject.toml cannot be understood.
    """
    if (CHECKOUT / "pyproject.toml").is_file():
        for_workers(CHECKOUT)
    if (found := project()) is not None:
        if str(found.root) not in sys.path:
            sys.path.insert(0, str(found.root))
        for_workers(found.root)
    return found


def for_workers(folder: Path) -> None:
    """Lets processes that this one starts import what lies in a folder: they get its environment, not its sys.path."""
    folders = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    if str(folder) not in folders:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *folders])


@lru_cache(maxsize=8)
def read_project(file: Path, changed: int) -> Project | None:
    """What a pyproject.toml says of a project; None where it says nothing.

    Args:
      file: the pyproject.toml.
      changed: when it was, so that an edited one is read anew.
    """
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("vae_lab")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    if said is None:
        return None
    if unknown := set(said) - set(KEYS):
        raise UsageError(f"{file}: [tool.vae_lab] has no {', '.join(sorted(unknown))}; it has {', '.join(KEYS)}")
    for key, kind in KEYS.items():
        if not isinstance(said.get(key, kind()), kind):
            raise UsageError(f"{file}: [tool.vae_lab] {key} must be a {'text' if kind is str else 'list of texts'}")
    conf = file.parent / said.get("conf", "conf")
    if not conf.is_dir():
        raise UsageError(f"{file}: [tool.vae_lab] conf={said.get('conf', 'conf')} is no folder beside it")
    return Project(file.parent, conf, tuple(said.get("packages", ())))
