"""Where Python would find a module. Unlike importlib's own search, this imports none of the packages it lies in."""

import sys
from collections.abc import MutableMapping
from importlib.machinery import ModuleSpec
from pathlib import Path

Specs = MutableMapping[str, ModuleSpec | None]


def spec_of(name: str, known: Specs) -> ModuleSpec | None:
    """A module's specification, None where there is no such module.

    Args:
      name: such as "vae_lab.prior.mixture".
      known: what has been looked for before, and is added to.
    """
    if name not in known:
        parent, _, _ = name.rpartition(".")
        path = _folders(parent, known) if parent else None
        known[name] = _found(name, path) if path or not parent else None
    return known[name]


def _found(name: str, path: list[str] | None) -> ModuleSpec | None:
    try:
        found = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        return next((spec for spec in found if spec is not None), None)
    except KeyError:  # a folder without __init__.py within another, of which Python asks what it has imported
        return ModuleSpec(name, None, is_package=True)


def _folders(package: str, known: Specs) -> list[str]:
    """The folders of a package; of one without __init__.py, Python would ask its parent, which is not imported."""
    spec = spec_of(package, known)
    if spec is None or spec.submodule_search_locations is None:
        return []
    if spec.origin is not None:
        return list(spec.submodule_search_locations)
    parent, _, leaf = package.rpartition(".")
    folders = _folders(parent, known) if parent else sys.path
    return [str(place) for folder in folders if (place := Path(folder, leaf)).is_dir()]
