"""What a configuration may name for Python to call: found out from source, and nothing is imported for it.

A configuration can be a stranger's: an experiment file that was sent, the stored one of somebody's run. So `_target_`,
at any depth, names classes of this package's axes, of the user's own project, or Keras's optimizers, and no others. The
name must be made where it is said to be: what a module merely imports, such as numpy, is none of its parts.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from vae_lab.config.checks.facts import AXES
from vae_lab.config.checks.signatures import defined, source
from vae_lab.config.project import project
from vae_lab.errors import UsageError

# Packages whose modules' own classes may be named, and of these modules the functions, by their names.
PARTS = tuple(f"vae_lab.{axis}" for axis in (*AXES, "schedule", "training", "evaluation"))
FUNCTIONS = {"vae_lab.data": ("load",), "vae_lab.schedule": ("constant", "cosine", "piecewise")}
# Modules that hand on the classes of a library, and where that library makes them.
OPTIMIZERS = {"keras.optimizers": "keras.src.optimizers", "keras.optimizers.schedules": "keras.src.optimizers"}
SEARCHES = {"optuna.samplers": "optuna", "optuna.pruners": "optuna"}
# By which Keras imports what a mapping names; by `class_name` alone it finds its own.
SERIALIZED = ("module", "registered_name")


def check_allowed(settings: Any, libraries: Mapping[str, str] = OPTIMIZERS) -> None:
    """Refuses a `_target_` at any depth that is no class of a part.

    Args:
      settings: mappings and lists, interpolations resolved.
      libraries: the modules of other packages whose classes may be named too.

    Raises:
      UsageError: naming the first such key, its value and what may be named.
    """
    for key, target in targets_in(settings):
        if why := why_refused(target, libraries):
            axis = key.removesuffix("._target_")
            name = settings[axis].get("name") if axis in AXES else None
            raise UsageError(f"{axis}={name}: {why}" if name else f"{key}={target}: {why}")


def targets_in(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each `_target_` of nested mappings and lists, by its dotted key.

    Raises:
      UsageError: where a mapping is what Keras would import a module for.
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield f"{prefix}_target_", node["_target_"]
        if serialized := [key for key in SERIALIZED if key in node]:
            raise UsageError(f"{prefix}{serialized[0]}={node[serialized[0]]}: give Keras's parts by their names")
        entries = [(str(key), value) for key, value in node.items()]
    else:
        entries = [(str(place), value) for place, value in enumerate(node)]
    for name, value in entries:
        if is_nested(value):
            yield from targets_in(value, f"{prefix}{name}.")


def is_nested(value: Any) -> bool:
    """Whether a value has values within: a mapping or a list, plain or OmegaConf's."""
    return isinstance(value, Mapping) or (hasattr(value, "__getitem__") and not isinstance(value, str | bytes))


def why_refused(target: Any, libraries: Mapping[str, str] = OPTIMIZERS) -> str | None:
    """Why a `_target_` must not be imported, and what may be; None where it may."""
    if not isinstance(target, str):
        return "a _target_ must be the name of a class"
    module, _, name = target.rpartition(".")
    if not all(part.isidentifier() for part in target.split(".")):
        return "a _target_ must be the name of a class"
    if module in libraries:
        found = defined(module, name)
        own = found is not None and isinstance(found[1], ast.ClassDef) and within(found[0], libraries[module])
        return None if own else f"its _target_ is {name} in {module}, and there is no such class there"
    of_project = [package for package in own_packages() if within(module, package)]
    if not of_project and not any(within(module, package) for package in PARTS):
        of_library = "".join(f" or {library}" for library in libraries)
        return (
            f"{target} is no class of vae_lab's parts{of_library}, and is not imported; a package of your own is "
            "named in its project's pyproject.toml, [tool.vae_lab] packages: start within its folder"
        )
    path = source(module)
    if path is None:
        return f"its _target_ is in {module}, and there is no such file"
    if of_project and (here := project()) and not path.resolve().is_relative_to(here.root.resolve()):
        return f"{module} is at {path}, which is outside the project {here.root}, and is not imported"
    if made_in(module, name, any_function=bool(of_project)):
        return None
    return f"its _target_ is {name} in {module}, and there is no such class there"


def within(module: str, package: str) -> bool:
    """Whether a module is a package or in it."""
    return module == package or module.startswith(f"{package}.")


def own_packages() -> tuple[str, ...]:
    """The packages of the user's project, if there is one."""
    here = project()
    return here.packages if here else ()


def made_in(module: str, name: str, any_function: bool) -> bool:
    """Whether a module itself makes the class of that name, or a function that is a part.

    Args:
      any_function: whether every function of the module is one.
    """
    found = defined(module, name, depth=1)  # no further: what it imports is another module's
    if found is None:
        return False
    if isinstance(found[1], ast.ClassDef) or any_function:
        return True
    return any(name in names for package, names in FUNCTIONS.items() if within(module, package))
