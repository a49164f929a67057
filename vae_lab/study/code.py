"""The source that a run executes: its files, each by what of its syntax can change a number.

Comments, docstrings, annotations, formatting and imports that only annotations use do not count. What a file imports is
followed as far as files are not installed by a package manager. Nothing is imported for it.
"""

import ast
import hashlib
import sysconfig
from collections.abc import Collection, Iterable, Iterator
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import NamedTuple

from vae_lab.config.locate import spec_of
from vae_lab.errors import UsageError

INSTALLED = ("site-packages", "dist-packages")
STANDARD = Path(sysconfig.get_paths()["stdlib"]).resolve()
NO_FIELDS = ("ClassVar", "InitVar")  # as which an annotation in a data class is more than a type
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
        self._closures: dict[tuple, dict[str, str]] = {}

    def closure(
        self, modules: Iterable[str], classes: Iterable[str] = (), without: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """The files that modules and classes execute, as the digest of each by its path.

        Args:
          modules: such as "vae_lab.training".
          classes: such as "vae_lab.prior.mixture.Mixture", each wherever it is made, though a package hands it on.
          without: modules and packages that are neither counted nor followed.

        What is installed counts by the version of its distribution where a class, or code of another project, uses it.

        Raises:
          UsageError: where a file is no Python.
        """
        asked = (tuple(modules), tuple(classes), without)
        if asked not in self._closures:
            self._closures[asked] = self._followed(*asked)
        return self._closures[asked]

    def _followed(self, modules: Iterable[str], classes: Iterable[str], without: tuple[str, ...]) -> dict[str, str]:
        found: dict[str, str] = {}
        seen: set[str] = set()
        waiting = [(module, True) for module in modules]  # and whether it is this product's code that uses it
        waiting += [(module, False) for name in classes for module in self._executed(*self._of_class(name))]
        while waiting:
            name, by_product = waiting.pop()
            place = None if is_within(name, without) else self.file(name)
            if place is None or (is_outside(place) and not is_installed(place)):
                continue
            if is_installed(place):
                if not by_product:
                    found[name.partition(".")[0]] = installed_version(name.partition(".")[0])
                continue
            if name in seen:
                continue
            seen.add(name)
            source, of_product = self.read(name, place), name.partition(".")[0] == ITSELF
            if source.does:
                found[shown_path(name, place)] = source.digest
            waiting += [(module, of_product) for one in source.imports for module in self._executed(*one)]
        return dict(sorted(found.items()))

    def file(self, name: str) -> Path | None:
        """A module's source, None where it has none: built-in, compiled, or not there."""
        spec = self._spec(name)
        origin = spec.origin if spec is not None else None
        return Path(origin) if origin and origin.endswith(".py") else None

    def read(self, name: str, place: Path) -> Source:
        """What a module is."""
        if name not in self._read:
            whole = parsed(place)
            package = name if place.name == "__init__.py" else name.rpartition(".")[0]
            handed_on = {called or of or "": (module, of) for module, of, called in imports_of(whole, package)}
            modules = {of for module, of, _ in imports_of(whole, package) if of and self._spec(f"{module}.{of}")}
            tree = without_types(whole, modules)
            used = frozenset((module, of) for module, of, _ in imports_of(tree, package))
            digest = hashlib.sha256("".join(canonical_module(tree, package)).encode()).hexdigest()[:16]
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
        if place is None or is_outside(place) or (module, name) in asked:
            return
        handed_on = self.read(module, place).handed_on
        whole = name == "*" or (name is None and place.name == "__init__.py")
        for called, (of_module, of_name) in handed_on.items():
            if whole or called == name:
                yield from self._executed(of_module, of_name, asked | {(module, name)})

    def _spec(self, name: str) -> ModuleSpec | None:
        """Where Python would find a module; unlike importlib's own search, this imports none of its packages."""
        return spec_of(name, self._specs)


def is_within(name: str, rooms: tuple[str, ...]) -> bool:
    """Whether a module is one of these, or in one of these packages."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def is_installed(place: Path) -> bool:
    """Whether a package manager put a file where it is."""
    return any(part in INSTALLED for part in place.parts)


def is_outside(place: Path) -> bool:
    """Whether a file is installed, or Python's own."""
    return is_installed(place) or place.resolve().is_relative_to(STANDARD)


def parsed(place: Path) -> ast.Module:
    """A file's syntax."""
    try:
        return ast.parse(place.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{place}: {error}; a run cannot be made of what is no Python") from None


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


def without_types(tree: ast.Module, modules: Collection[str] = ()) -> ast.Module:
    """A module without docstrings, annotations and protocols, and without what it imports for those alone.

    Args:
      tree: the module.
      modules: names of imports that are modules, and stay: they may be there for what they do.
    """
    stripped = _Stripped().visit(tree)
    used = {node.id for node in ast.walk(stripped) if isinstance(node, ast.Name)}
    return _Used(used.union(modules)).visit(stripped)


class _Stripped(ast.NodeTransformer):
    """Takes off what only a reader or a type checker sees."""

    in_class = False

    def _body(self, node):
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return self.generic_visit(node)

    visit_Module = _body

    def visit_ClassDef(self, node):
        if any(ast.unparse(base).rpartition(".")[2] == "Protocol" for base in node.bases) and not computes(node):
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
            kind = next((kind for kind in NO_FIELDS if kind in ast.unparse(node.annotation)), None)
            node.annotation = ast.Constant(kind)
            return self.generic_visit(node)
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_If(self, node):
        if ast.unparse(node.test).rpartition(".")[2] != "TYPE_CHECKING":
            return self.generic_visit(node)
        return self.generic_visit(ast.If(ast.Constant(True), node.orelse, [])) if node.orelse else None


class _Used(ast.NodeTransformer):
    """Drops `from x import y` where nothing uses y. A plain `import x` may be there for what it does, and stays."""

    def __init__(self, used: set[str]):
        self.used = used

    def visit_ImportFrom(self, node):
        names = [alias for alias in node.names if alias.name in (*self.used, "*") or alias.asname in self.used]
        return ast.ImportFrom(node.module, names, node.level) if names else None


def computes(node: ast.ClassDef) -> bool:
    """Whether a class does more than to say what there is: a statement that is no docstring, `...` or `pass`."""
    functions = [one for one in ast.walk(node) if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
    within = [statement for function in functions for statement in function.body]
    return any(
        not isinstance(one, ast.Pass) and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in within
    )


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


def canonical_module(tree: ast.Module, package: str) -> Iterator[str]:
    """A module's syntax; how it orders the imports that it begins with is a matter of format."""
    ordered = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom)) and not takes_all(node)]
    yield str(sorted({one for node in ordered for one in imports_of(node, package)}, key=str))
    yield from canonical(ast.Module([node for node in tree.body if node not in ordered], []))


def takes_all(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether an import takes every name: of two such, the later one decides."""
    return any(alias.name == "*" for alias in node.names)


def canonical(node: ast.AST) -> Iterator[str]:
    """A syntax tree as one text, the same in every version of Python."""
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
