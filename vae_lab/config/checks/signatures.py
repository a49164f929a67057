"""What a class can be given, read from its source: nothing is imported for it, TensorFlow least of all."""

import ast
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vae_lab.config.checks.facts import AXES, Config
from vae_lab.config.locate import spec_of
from vae_lab.errors import UsageError

# What is given by the program, or is no argument.
NO_SETTINGS = ("name", "facts", "_target_")
# With what the program makes the parts of an axis, beside what their fact `takes` asks for (config/parts.py).
GIVEN = {
    "encoder": ("output_size",),
    "posterior": ("latent_size",),
    "decoder": ("latent_shape", "output_shape", "output_bias"),
    "likelihood": (),
    "prior": ("latent_shape",),
    "estimator": (),
}


def check_targets(cfg: Config) -> None:
    """The class or function that an option's YAML names must take the settings."""
    for axis in (*AXES, "optimizer", "schedule"):
        target = str(cfg[axis]["_target_"])
        name = cfg[axis].get("name")
        option = f"{axis}={name}" if name else f"{axis}._target_={target}"
        check_target(axis, target, cfg[axis], takes=axis not in ("data", "binarization"))
        if axis in GIVEN:
            given = (*GIVEN[axis], *((cfg[axis].get("facts") or {}).get("takes") or ()))
            check_arguments(axis, option, target, cfg[axis], given)


def check_arguments(axis: str, option: str, target: str, settings: Mapping[str, Any], given: tuple[str, ...]) -> None:
    """Raises UsageError where a part's class needs more than it is given, or does not take what it is given."""
    module, _, leaf = target.rpartition(".")
    taken = parameters(module, leaf)
    if taken is not None and (refused := [name for name in given if name not in taken]):
        raise UsageError(f"{option}: {leaf} must take {refused[0]}, with which every {axis} is made")
    if missing := [name for name in needed(module, leaf) if name not in settings and name not in given]:
        raise UsageError(
            f"{option}: {leaf} needs {missing[0]}, and its YAML gives none; write it there, as in {missing[0]}: VALUE"
        )


def check_target(group: str, target: str, settings: Mapping[str, Any], takes: bool = True) -> None:
    """Raises UsageError where a class takes no setting of that name; that it is there, `check_allowed` has seen.

    Args:
      group: where the settings stand, for the names of keys.
      target: the class or function, with its module.
      settings: what it is given.
      takes: whether to look at what it takes.
    """
    module, _, leaf = target.rpartition(".")
    taken = parameters(module, leaf) if takes else None
    if taken is not None and (unknown := sorted(set(map(str, settings)) - {*NO_SETTINGS, *taken})):
        key, known = f"{group}.{unknown[0]}", sorted(set(taken) & set(map(str, settings)))
        told = f"it takes {', '.join(known)}" if known else "leave it out"
        raise UsageError(f"there is no setting {key}: {leaf} takes no such setting; {told}")


@lru_cache(maxsize=256)
def source(module: str) -> Path | None:
    """The file of a module, None where there is none."""
    spec = spec_of(module, {})
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


@lru_cache(maxsize=256)
def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UsageError(f"{path}{line}: {getattr(error, 'msg', error)}; this is no Python as it stands") from None


def defined(module: str, name: str, depth: int = 8) -> tuple[str, ast.ClassDef | ast.FunctionDef] | None:
    """Where a class or a function is defined, through the imports on the way: its module and its syntax."""
    path = source(module)
    if path is None or depth == 0:
        return None
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_tree(path)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                if (alias.asname or alias.name) == name and (found := defined(origin, alias.name, depth - 1)):
                    return found
    return None


def needed(module: str, name: str) -> tuple[str, ...]:
    """The keywords without which a class or function cannot be called, as far as its own source tells."""
    found = defined(module, name)
    if found is None:
        return ()
    makers = [one for one in found[1].body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    if isinstance(found[1], ast.ClassDef) and not makers:
        return ()
    own = found[1] if isinstance(found[1], ast.FunctionDef) else makers[0]
    optional = {one.arg for one in own.args.args[len(own.args.args) - len(own.args.defaults) :]}
    optional |= {one.arg for one, given in zip(own.args.kwonlyargs, own.args.kw_defaults, strict=True) if given}
    return tuple(one for one in _keywords(own) if one not in optional)


def _keywords(function: ast.FunctionDef) -> tuple[str, ...]:
    return tuple(one.arg for one in (*function.args.args, *function.args.kwonlyargs) if one.arg != "self")


def parameters(module: str, name: str, depth: int = 8) -> tuple[str, ...] | None:
    """The keywords that a class or function takes; None where its source does not tell, as where it takes any.

    Keras's optimizers take any by their syntax, and hand them to their bases, which refuse what they do not know.
    """
    found = defined(module, name)
    if found is None or depth == 0:
        return None
    within, node = found
    if isinstance(node, ast.FunctionDef):
        own = node
    else:
        makers = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        if not makers:  # of a data class the fields would be
            return None if node.decorator_list else _of_bases(within, node, depth)
        own = makers[0]
    names = _keywords(own)
    if own.args.kwarg is None:
        return names
    if not isinstance(node, ast.ClassDef) or not within.startswith("keras.src.optimizers"):
        return None
    return names + (_of_bases(within, node, depth) or ())


def _of_bases(module: str, node: ast.ClassDef, depth: int) -> tuple[str, ...] | None:
    names: tuple[str, ...] = ()
    for base in map(ast.unparse, node.bases):
        prefix, _, leaf = base.rpartition(".")
        if prefix:  # optimizer.Optimizer, of `from keras.src.optimizers import optimizer`
            place = _module_called(module, prefix)
            of_base = parameters(place, leaf, depth - 1) if place else None
        else:
            of_base = parameters(module, leaf, depth - 1)
        if of_base is not None:
            names += of_base
    return names or None


def _module_called(module: str, called: str) -> str | None:
    path = source(module)
    for node in ast.walk(_tree(path)) if path else ():
        if isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == called:
                    return f"{node.module}.{alias.name}"
    return None
