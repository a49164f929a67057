"""What mkdocs is told beyond mkdocs.yml: pages that are made of the code, and never written to a file."""

import math
import sys
from typing import Any

from mkdocs.structure.files import File, Files
from notebook_pages import notebook_page, notebook_paths
from option_pages import CHECKOUT, escaped, role_of, section

from vae_lab.config.options import option_names

# The axes in the order of a run, each with what its page begins with.
AXES = {
    "data": "Where images come from, and which rows are for training, validation and testing.",
    "binarization": "What a pixel becomes before the model sees it.",
    "encoder": "From an image to features.",
    "posterior": "q(z|x), made of the encoder's features.",
    "decoder": "From a latent to the likelihood's parameters.",
    "likelihood": "p(x|z), made of the decoder's parameters.",
    "prior": "p(z), fixed or learned.",
    "estimator": "The objective: a bound on log p(x), and how its gradient is taken.",
    "optimizer": "Keras's optimizers, by `_target_`: any other of them can be named there.",
    "schedule": "How the learning rate changes over the training.",
}
GROUPS = {
    "training": "How long, how fast and which weights are kept.",
    "evaluation": "What is measured at the end, with which noise, and which pictures are drawn.",
    "tracking": "Where runs are kept.",
}
# What a program of one's own calls, as far as it is there: modules, with their names where not all are meant.
REFERENCE: dict[str, list[str]] = {
    "vae_lab": [],
    "vae_lab.testing": [],
    "vae_lab.config.compose": ["compose", "compose_unchecked"],
    "vae_lab.run.loaded": [],
    "vae_lab.protocols": [],
    "vae_lab.model": [],
    "vae_lab.errors": ["UsageError"],
    "vae_lab.numerics": [],
    "vae_lab.layers.spaces": [],
}


def on_files(files: Files, config: Any) -> Files:
    """Adds the generated pages."""
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def generated() -> dict[str, str]:
    """The text of every generated page, by its path."""
    pages = {"parts/index.md": contents(), "parts/pairs.md": pairs(), "reference.md": reference()}
    for axis, words in AXES.items():
        pages[f"parts/{axis}.md"] = axis_page(axis, words)
    for group, words in GROUPS.items():
        pages[f"parts/{group}.md"] = axis_page(group, words, only=True)
    for path in notebook_paths():
        pages[f"lessons/{path.stem}.md"] = notebook_page(path)
    return pages


def axis_page(axis: str, words: str, only: bool = False) -> str:
    """The page of an axis: its role, then an option after the other."""
    names = option_names(axis)
    head = f"# {axis}\n\n{role_of(axis) or words}\n\n"
    if not only:
        head += f"Chosen by `{axis}=NAME`: {', '.join(f'[{name}](#{name})' for name in names)}.\n\n"
    return head + "\n".join(section(axis, name, only) for name in names)


def contents() -> str:
    """The table of the axes."""
    rows = [
        f"| [{axis}]({axis}.md) | {words} | {', '.join(f'[{name}]({axis}.md#{name})' for name in option_names(axis))} |"
        for axis, words in AXES.items()
    ]
    groups = [f"| [{group}]({group}.md) | {words} | |" for group, words in GROUPS.items()]
    return "\n".join(
        [
            "# Parts and settings",
            "",
            "A model is a choice on each axis: `vae-lab train prior=mixture prior.components=25`. Each page is made of "
            "the option's YAML, with its comments, and of the docstring of its class: what stands here is what the "
            "code does. [Facts](../facts.md) are what other options read: they decide "
            "[which options go together](pairs.md).",
            "",
            "| axis | what it is | options |",
            "|---|---|---|",
            *rows,
            *groups,
            "",
        ]
    )


def pairs() -> str:
    """The pairs of options that exclude each other, with the reason that the command line gives."""
    sys.path.insert(0, str(CHECKOUT))
    from vae_lab.config.compatibility import AXES as JUDGED
    from vae_lab.config.compatibility import combinations, illegal_pairs, pairs_of

    legal, refusals = combinations()
    refused = illegal_pairs(legal, refusals)
    by_axes: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for (one, a, other, b), why in refused.items():
        by_axes.setdefault((JUDGED[one], JUDGED[other]), []).append((a, b, why))
    everything = math.prod(len(option_names(axis)) for axis in JUDGED)
    lines = [
        "# Which options go together",
        "",
        f"Of {everything:,} combinations over {len(JUDGED)} axes {len(legal):,} are legal, on data of "
        f"28 x 28 grey pixels with every other setting as it is by default. "
        f"{len(set().union(*map(pairs_of, legal))):,} pairs of options occur in one of them, and a test trains each; "
        f"the {len(refused)} pairs below occur in none. `vae-lab pairs` prints the same list.",
        "",
    ]
    for (one, other), found in by_axes.items():
        lines += [f"## {one} and {other}", "", f"| {one} | {other} | why not |", "|---|---|---|"]
        lines += [f"| `{a}` | `{b}` | {escaped(why).replace(chr(10), ' ')} |" for a, b, why in found]
        lines.append("")
    return "\n".join(lines)


def reference() -> str:
    """The page of the Python interface, which mkdocstrings fills in."""
    lines = ["# Python reference", "", "What a program or a notebook of one's own calls, from the docstrings.", ""]
    for module, names in REFERENCE.items():
        path = CHECKOUT / module.replace(".", "/")
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            chosen = ["    options:", f"      members: {names}"] if names else []
            lines += [f"::: {module}", *chosen, ""]
    return "\n".join(lines)
