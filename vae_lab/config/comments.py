"""What the comments of an option's file say of its settings."""

import re

SETTING = re.compile(r"^( *)([\w.~/]+):(?: +(.*?))??(?: +#\s*(.*))?$")


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
