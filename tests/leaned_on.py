"""What the package uses of other libraries that is no promise, or that one alone has: docs/platform.md lists it.

`python tests/leaned_on.py` writes the lists of the page anew.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / "platform.md"
OF_NAMEDTUPLE = ("_fields", "_replace")  # documented, in spite of their names


def trees() -> Iterator[ast.Module]:
    """The product's files as syntax trees."""
    for top in ("vae_lab", "hydra_plugins"):
        for path in sorted((CHECKOUT / top).rglob("*.py")):
            yield ast.parse(path.read_text())


def symbols_of_tfp() -> set[str]:
    """Every name of TensorFlow Probability's that is used, such as tfp.distributions.Normal."""
    found = set()
    for tree in trees():
        aliases = {"tfp": "tfp"}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if (value := ast.unparse(node.value)).startswith("tfp."):
                    aliases[node.targets[0].id] = value
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tensorflow_probability"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                root, _, rest = ast.unparse(node).partition(".")
                full = f"{aliases.get(root)}.{rest}"
                if root in aliases and re.fullmatch(r"tfp\.\w+\.\w+", full):
                    found.add(full)
    return found


def private_names() -> set[str]:
    """Private names of libraries: imported, or taken from an object that is none of ours."""
    own, found = {*OF_NAMEDTUPLE}, set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                own.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and re.search(r"(^|\.)_[a-z]", node.module or ""):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr) and node.attr not in own:
                found.add(f".{node.attr}")
    return found


def methods_for_tfp() -> set[str]:
    """Private methods of classes of ours that TensorFlow Probability calls, since its own classes have them."""
    import tensorflow_probability as tfp

    classes = [getattr(place, name) for place in (tfp.distributions, tfp.bijectors) for name in dir(place)]
    methods = {name for one in classes if isinstance(one, type) for name in vars(one) if re.match(r"_[a-z]", name)}
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found |= {one.name for one in node.body if isinstance(one, ast.FunctionDef)} & methods
    return found


LISTS = {"tfp": symbols_of_tfp, "private": private_names, "methods": methods_for_tfp}


def parts(name: str) -> tuple[str, str, str]:
    """The page before, within and after the list of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    head, _, rest = PAGE.read_text().partition(begin)
    within, _, tail = rest.partition(end)
    return head + begin, within, end + tail


def listed(name: str) -> list[str]:
    """The names that the page lists."""
    return re.findall(r"`([^`]+)`", parts(name)[1])


def main() -> None:
    """Writes the lists anew."""
    for name, find in LISTS.items():
        head, _, tail = parts(name)
        PAGE.write_text(head + ",\n".join(f"`{one}`" for one in sorted(find())) + "\n" + tail)


if __name__ == "__main__":
    main()
