"""The command `vae-lab`: a subcommand and its words. What a subcommand needs is imported for it alone."""

import difflib
import importlib
import os
import sys

from vae_lab.config.project import use_project
from vae_lab.errors import UsageError

SUBCOMMANDS = {
    "train": "train one model, a sweep or an experiment",
    "evaluate": "evaluate a run again, without training",
    "report": "tables, differences and verdicts of a study",
    "reproduce": "run an experiment and judge it by what it expects",
    "watch": "where a sweep stands, until it is over",
    "doctor": "close runs that say RUNNING and are dead",
    "pairs": "which options go together, and why the others do not",
    "schema": "the JSON schema of experiment files, for editors",
    "data": "download known data sets, for machines without a network",
    "compare": "what differs between two runs",
    "ui": "open MLflow on this machine's runs",
    "new": "write a project of your own",
}
HELP = ("--help", "-h")
COMPLETION = ("-sc", "--shell-completion")


def usage() -> str:
    """What `vae-lab --help` prints."""
    width = max(map(len, SUBCOMMANDS))
    listed = "".join(f"  {name:{width}}  {what}\n" for name, what in SUBCOMMANDS.items())
    return (
        f"A research harness for variational autoencoders.\n\nvae-lab SUBCOMMAND ...\n\n{listed}\n"
        "vae-lab SUBCOMMAND --help tells more of each.\n"
    )


def main(arguments: list[str] | None = None) -> int:
    """Starts the subcommand that the first word names; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in COMPLETION:
        return completion(words)
    if not words or words[0] in HELP:
        print(usage(), end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    name, *rest = words
    if name not in SUBCOMMANDS:
        print(unknown(name), file=sys.stderr)
        return 2
    try:
        use_project()
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    sys.argv = ["vae-lab", *words]  # as a person repeats it, wherever it was started from
    return importlib.import_module(f"vae_lab.commands.{name}").main(rest)


def unknown(name: str) -> str:
    """What to say of a word that is no subcommand."""
    like = difflib.get_close_matches(name, SUBCOMMANDS, n=1)
    if "=" in name or name.startswith("-"):
        return f"{name} is no subcommand; settings follow one, as in: vae-lab train {name}"
    meant = f"did you mean {like[0]}?" if like else f"there are {', '.join(SUBCOMMANDS)}"
    return f"{name} is no subcommand; {meant}"


def completion(words: list[str]) -> int:
    """Answers a shell that completes a command line: subcommands here, the words after `train` by Hydra."""
    line = os.environ.get("COMP_LINE", "").split(" ")
    if words[-1].startswith("query=") and len(line) > 1:
        if len(line) == 2:
            print(" ".join(name for name in SUBCOMMANDS if name.startswith(line[1])))
            return 0
        if line[1] != "train":
            return 0
        os.environ["COMP_LINE"] = " ".join([line[0], *line[2:]])
    return importlib.import_module("vae_lab.commands.train").main(words)


if __name__ == "__main__":
    sys.exit(main())
