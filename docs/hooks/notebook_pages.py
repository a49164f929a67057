"""A notebook in Jupytext's percent format as a page: its text as text, its code as code."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def notebook_paths() -> list[Path]:
    """The notebooks, in the order of their names."""
    return sorted((CHECKOUT / "notebooks").glob("[0-9]*.py"))


def cells(text: str) -> list[tuple[str, str]]:
    """A notebook's cells: ("markdown" or "code", text)."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("# %%"):
            found.append(("markdown" if "[markdown]" in line else "code", []))
        elif found:  # what stands before the first cell is Jupytext's header
            found[-1][1].append(line)
    return [(kind, _joined(kind, lines)) for kind, lines in found]


def _joined(kind: str, lines: list[str]) -> str:
    shown = [line.removeprefix("#").removeprefix(" ") for line in lines] if kind == "markdown" else lines
    return "\n".join(shown).strip("\n")


def notebook_page(path: Path) -> str:
    """A notebook as Markdown, with a word on how to open it."""
    parts = [text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells(path.read_text())]
    note = (
        f"*This page is `notebooks/{path.name}`: a notebook in Jupytext's percent format, which Jupyter (with the "
        "package jupytext), VS Code and PyCharm open, and Python runs as it is.*"
    )
    return "\n\n".join([parts[0], note, *parts[1:]]) + "\n"
