"""The pages of the axes, from what the code says of itself: YAML files with their comments, and docstrings.

No part is imported: classes are found as syntax trees, so that a page costs milliseconds and no TensorFlow.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from vae_lab.config.described import Described, described
from vae_lab.config.options import CONF

CHECKOUT = Path(__file__).resolve().parents[2]


def read_option(axis: str, name: str) -> Described:
    """An option's file by its axis and name."""
    return described(CONF / axis / f"{name}.yaml", axis)


def as_yaml(value: Any) -> str:
    """A default as one writes it on the command line."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()


@cache
def tree_of(module: str) -> ast.Module | None:
    """A module of this package as a syntax tree; None of others."""
    path = CHECKOUT / (module.replace(".", "/") + ".py")
    return ast.parse(path.read_text(encoding="utf-8")) if module.startswith("vae_lab") and path.is_file() else None


def docstrings(target: str) -> list[str]:
    """The docstring of a class or function, then those of the classes of this package that it is derived from."""
    module, _, name = target.rpartition(".")
    tree = tree_of(module)
    if tree is None:
        return []
    found: list[str] = []
    imported: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            imported |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            found.append(ast.get_docstring(node) or "")
            for base in node.bases if isinstance(node, ast.ClassDef) else []:
                if isinstance(base, ast.Name) and not imported.get(base.id, "").startswith("vae_lab.protocols"):
                    found += docstrings(imported.get(base.id, f"{module}.{base.id}"))
    return found


def split_docstring(text: str) -> tuple[list[str], dict[str, str]]:
    """A docstring's paragraphs, and its `Args:` by name."""
    prose, arguments, name = [], {}, None
    for paragraph in re.split(r"\n\s*\n", text):
        if not paragraph.startswith(("Args:", "Returns:", "Raises:", "Attributes:")):
            prose.append(" ".join(line.strip() for line in paragraph.splitlines()))
        elif paragraph.startswith("Args:"):
            for line in paragraph.splitlines()[1:]:
                if match := re.match(r"^  (\w+): (.*)$", line):
                    name = match.group(1)
                    arguments[name] = match.group(2)
                elif name:
                    arguments[name] += f" {line.strip()}"
    return [paragraph for paragraph in prose if paragraph], arguments


def escaped(text: str) -> str:
    """Text as Markdown that reads the same; what stands between backticks is left alone."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\*_>\[\]{}|#])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def in_cell(text: str) -> str:
    """Text for a cell of a table."""
    return escaped(text).replace("\n", " ")


def section(axis: str, name: str, only: bool = False) -> str:
    """What a page says of an option."""
    option = read_option(axis, name)
    prose, arguments = [], {}
    for number, text in enumerate(docstrings(option.target) if option.target else []):
        paragraphs, named = split_docstring(text)
        prose += [] if number else paragraphs
        arguments = named | arguments
    lines = [] if only else [f"## {name} {{ #{name} }}", ""]
    if option.heading:
        lines += [escaped(option.heading), ""]
    for number, paragraph in enumerate(prose):
        quoted = f"> {escaped(paragraph)}" if not number else escaped(paragraph)
        lines += [quoted.replace("References:", "**References:**"), ""]
    if option.settings:
        lines += ["| setting | default | |", "|---|---|---|"]
        for key, setting in option.settings.items():
            words = setting.words or arguments.get(key.split(".")[0], "")
            prefix = "" if axis == "seed" else f"{axis}."
            lines.append(f"| `{prefix}{key}` | `{as_yaml(setting.default)}` | {in_cell(words)} |")
        lines.append("")
    if option.facts:
        told = ", ".join(f"`{key}: {as_yaml(value)}`" for key, value in option.facts.items())
        lines += [f"[Facts](../facts.md): {told}", ""]
    lines += [f"Files: {', '.join(f'`{path}`' for path in files_of(axis, name, option))}", ""]
    return "\n".join(lines)


def files_of(axis: str, name: str, option: Described) -> list[str]:
    """The option's YAML, and the file that its class or function is in, or the name of another library's."""
    files = [f"conf/{axis}/{name}.yaml"]
    if option.target:
        module = option.target.rpartition(".")[0]
        ours = module.startswith("vae_lab")
        files.append(module.replace(".", "/") + ".py" if ours else option.target)
    return files


def role_of(axis: str) -> str:
    """The role's text in protocols.py, with its methods; empty where the axis has none there."""
    tree = tree_of("vae_lab.protocols")
    assert tree is not None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == axis.capitalize():
            lines = [escaped(" ".join((ast.get_docstring(node) or "").split())), ""]
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    taken = ", ".join(arg.arg for arg in member.args.args if arg.arg != "self")
                    told = escaped(" ".join((ast.get_docstring(member) or "").split()))
                    lines += [f"- `{member.name}({taken})`: {told}"]
            return "\n".join([*lines, ""])
    return ""
