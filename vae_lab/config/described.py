"""A file of settings, and what its comments say of them."""

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

SETTING = re.compile(r"^( *)([\w.~/]+):(?: +(.*?))??(?: +#\s*(.*))?$")
NO_SETTINGS = ("name", "_target_", "facts", "defaults")  # what an option is, and not what is set


class Setting(NamedTuple):
    """A setting's default, and the comment beside it; empty where there is none."""

    default: Any
    words: str


class Described(NamedTuple):
    """A file of settings, read.

    Attributes:
      heading: the comment that it begins with.
      content: what it says of its group.
      settings: of these, what can be set, by dotted key without the group.
    """

    heading: str
    content: dict[str, Any]
    settings: dict[str, Setting]

    @property
    def target(self) -> str | None:
        """What is made of it; None of a group that has one file."""
        return self.content.get("_target_")

    @property
    def facts(self) -> dict[str, Any]:
        """What other options must know of it."""
        return self.content.get("facts") or {}


def described(file: Path, group: str = "") -> Described:
    """A file of an option of a group, which is all of it, or, where it sets others too, the part under that name."""
    lines = file.read_text(encoding="utf-8").splitlines()
    content = yaml.safe_load("\n".join(lines)) or {}
    content = content[group] if isinstance(content.get(group), dict) else content
    head = list(takewhile(lambda line: line.startswith("#"), lines))
    comments = comments_of(lines[len(head) :])
    can_be_set = {key: value for key, value in content.items() if key not in NO_SETTINGS}
    settings = {
        key: Setting(default, comments.get(key) or comments.get(f"{group}.{key}", ""))
        for key, default in dotted(can_be_set)
    }
    told = [line.lstrip("# ") for line in head]
    return Described(" ".join(line for line in told if not line.startswith("@package")), content, settings)


def dotted(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings by dotted keys; lists are leaves."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def comments_of(lines: list[str]) -> dict[str, str]:
    """By dotted key, the comment behind it, or the lines of comment above it."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in lines:
        if line.lstrip().startswith("#"):
            above.append(line.lstrip("# "))
        elif match := SETTING.match(line):
            indent, key, _, words = match.groups()
            path = [step for step in path if step[0] < len(indent)] + [(len(indent), key)]
            found[".".join(step for _, step in path)] = words or " ".join(above)
            above = []
    return found
