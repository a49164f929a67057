"""The source that a run executes: its files, each by what of its syntax can change a number.

Comments, docstrings, annotations, formatting and imports that only annotations use do not count. What a file imports is
followed as far as files are not installed by a package manager. Nothing is imported for it.
"""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import NamedTuple

INSTALLED = ("site-packages", "dist-packages")
STANDARD = Path(sysconfig.get_paths()["stdlib"]).resolve()
ITSELF = __name__.partition(".")[0]

Import = tuple[str, str | None]  # a module, and the name that is taken from it, if one is


class Source(NamedTuple):
    """One module as it counts: the digest of what it does, what it uses, and what it imports for others to take."""

    digest: str
    does: bool
    imports: frozenset[Import]
    handed_on: dict[str, Import]


class Sources:
    """Modules by name, each read once: made anew wherever files may have changed since."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}
        self._read: dict[str, Source] = {}

    def closure(
        self, modules: Iterable[str], classes: Iterable[str] = (), without: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """The files that modules and classes execute, as the digest of each by its path.

        Args:
          modules: such as "vae_lab.training".
          classes: such as "vae_lab.prior.mixture.Mixture", each wherever it is made, though a package hands it on. An
            installed one counts by the version of its distribution.
          without: modules and packages that are neither counted nor followed.
        """
        found: dict[str, str] = {}
        seen: set[str] = set()
        asked = [self._of_class(name) for name in classes]
        own = {module.partition(".")[0] for module, _ in asked}
        waiting = [*modules, *(module for one in asked for module in self._executed(*one))]
        while waiting:
            name = waiting.pop()
            if name in seen or is_within(name, without):
                continue
            seen.add(name)
            place = self.file(name)
            if place is None:
                continue
            if is_installed(place):
                if (package := name.partition(".")[0]) in own:
                    found[package] = installed_version(package)
                continue
            source = self.read(name, place)
            if source.does:
                found[shown_path(name, place)] = source.digest
            waiting += [module for one in source.imports for module in self._executed(*one)]
        return dict(sorted(found.items()))

    def file(self, name: str) -> Path | None:
        """A module's source, None where it has none: built-in, compiled, or not there."""
        spec = self._spec(name)
        origin = spec.origin if spec is not None else None
        return Path(origin) if origin and origin.endswith(".py") else None

    def read(self, name: str, place: Path) -> Source:
        """What a module is."""
        if name not in self._read:
            whole = ast.parse(place.read_bytes())
            package = name if place.name == "__init__.py" else name.rpartition(".")[0]
            handed_on = {called or of or "": (module, of) for module, of, called in imports_of(whole, package)}
            tree = without_types(whole)
            imports = sorted(imports_of(tree, package), key=str)
            written = f"{imports}{''.join(canonical(tree))}"
            used = frozenset((module, of) for module, of, _ in imports)
            digest = hashlib.sha256(written.encode()).hexdigest()[:16]
            self._read[name] = Source(digest, bool(tree.body), used, handed_on)
        return self._read[name]

    def _of_class(self, name: str) -> Import:
        """The module that a class is named in, and the class: of "a.b.C.d", a.b and C."""
        parts = name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            if self._spec(module := ".".join(parts[:end])) is not None:
                return module, parts[end]
        return name, None

    def _executed(self, module: str, name: str | None, asked: frozenset[Import] = frozenset()) -> Iterator[str]:
        """The modules that `from module import name` executes, to the one where the name is made."""
        if name and name != "*" and self._spec(f"{module}.{name}") is not None:
            module, name = f"{module}.{name}", None
        parts = module.split(".")
        yield from (package for end in range(1, len(parts)) if (package := ".".join(parts[:end])) != ITSELF)
        yield module
        place = self.file(module)
        if place is None or is_installed(place) or (module, name) in asked:
            return
        handed_on = self.read(module, place).handed_on
        whole = name == "*" or (name is None and place.name == "__init__.py")
        for called, (of_module, of_name) in handed_on.items():
            if whole or called == name:
                yield from self._executed(of_module, of_name, asked | {(module, name)})

    def _spec(self, name: str) -> ModuleSpec | None:
        """Where Python would find a module; unlike importlib's own search, this imports none of its packages."""
        if name not in self._specs:
            self._specs[name] = self._look_for(name)
        return self._specs[name]

    def _look_for(self, name: str) -> ModuleSpec | None:
        path = None
        if parent := name.rpartition(".")[0]:
            package = self._spec(parent)
            if package is None or package.submodule_search_locations is None:
                return None
            path = list(package.submodule_search_locations)
        found = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        return next((spec for spec in found if spec is not None), None)


def is_within(name: str, rooms: tuple[str, ...]) -> bool:
    """Whether a module is one of these, or in one of these packages."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def is_installed(place: Path) -> bool:
    """Whether a package manager, or Python itself, put a file where it is."""
    return any(part in INSTALLED for part in place.parts) or place.resolve().is_relative_to(STANDARD)


def installed_version(package: str) -> str:
    """The version of the distribution that an installed package is of."""
    try:
        return version(next(iter(packages_distributions().get(package, [package]))))
    except PackageNotFoundError:
        return "of no distribution"


def shown_path(name: str, place: Path) -> str:
    """A module's file as a person names it, the same wherever the project lies."""
    path = name.replace(".", "/")
    return f"{path}/__init__.py" if place.name == "__init__.py" else f"{path}.py"


def without_types(tree: ast.Module) -> ast.Module:
    """A module without docstrings, annotations and protocols, and without imports that nothing else uses."""
    stripped = _Stripped().visit(tree)
    used = {node.id for node in ast.walk(stripped) if isinstance(node, ast.Name)}
    return _Used(used).visit(stripped)


class _Stripped(ast.NodeTransformer):
    """Takes off what only a reader or a type checker sees."""

    in_class = False

    def _body(self, node):
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return self.generic_visit(node)

    visit_Module = _body

    def visit_ClassDef(self, node):
        if any(ast.unparse(base).rpartition(".")[2] == "Protocol" for base in node.bases):
            return None
        before, self.in_class = self.in_class, True
        node = self._body(node)
        self.in_class = before
        return node

    def visit_FunctionDef(self, node):
        before, self.in_class = self.in_class, False
        node.returns = None
        node = self._body(node)
        self.in_class = before
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        if self.in_class:  # of a dataclass or a named tuple this is a field, whatever its type
            node.annotation = ast.Constant(None)
            return self.generic_visit(node)
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_If(self, node):
        return None if ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING" else self.generic_visit(node)


class _Used(ast.NodeTransformer):
    """Drops `from x import y` where nothing uses y. A plain `import x` may be there for what it does, and stays."""

    def __init__(self, used: set[str]):
        self.used = used

    def visit_ImportFrom(self, node):
        node.names = [name for name in node.names if name.name == "*" or (name.asname or name.name) in self.used]
        return node if node.names else None


def imports_of(tree: ast.AST, package: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Each import in a module of a package: the module, the name that is taken from it, what that is called here."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, alias.asname) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from ((module, alias.name, alias.asname) for alias in node.names)


def canonical(node: ast.AST) -> Iterator[str]:
    """A syntax tree without its imports, whose order is a matter of format; the same in every version of Python."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return
    yield f"({type(node).__name__}"
    for name, value in ast.iter_fields(node):
        if name in ("ctx", "kind", "type_comment", "type_ignores", "type_params") or value is None or value == []:
            if not (isinstance(node, ast.Constant) and name == "value"):
                continue
        yield f" {name}="
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, ast.AST):
                yield from canonical(entry)
            else:
                yield repr(entry)
    yield ")"
