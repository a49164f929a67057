"""The command lines of the subcommands: words of the form key=value, names and flags."""

import os
import re
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass

from vae_lab.config.credentials import TRACKING, tracking_address
from vae_lab.config.options import command_of
from vae_lab.console.start_up import require_process
from vae_lab.console.terminal import print_whatever
from vae_lab.errors import UsageError


@dataclass(frozen=True)
class Words:
    """What a command was given."""

    given: dict[str, str]  # by key
    names: list[str]
    flags: set[str]


def as_started(text: str) -> str:
    """A text whose commands are written as they are started here."""
    return re.sub(r"vae-lab (\w+)", lambda found: command_of(found.group(1)), text)


def command(
    do: Callable[[Words], int],
    usage: str,
    keys: Collection[str] | None = (),
    flags: Collection[str] = (),
    names: bool = False,
) -> Callable[[list[str]], int]:
    """A subcommand's main function: words -> exit code; 2, after a line that says why, for words that it does not know.

    Args:
      do: what it does; a UsageError of it is printed as its line.
      usage: what is printed for words that are none of its.
      keys: the keys that it knows; None: any.
      flags: its words that begin with --.
      names: whether other words may stand there.
    """

    def main(arguments: list[str]) -> int:
        print_whatever()
        try:
            require_process()
        except UsageError as error:
            print(error, file=sys.stderr)
            return 2
        if set(arguments) & {"--help", "-h"}:
            print(as_started(usage))
            return 0
        marked = {word for word in arguments if word.startswith("-")}
        pairs = [word.partition("=") for word in arguments if word not in marked and "=" in word]
        given = {key: tracking_address(value) if key == TRACKING else value for key, _, value in pairs}
        words = Words(given, [word for word in arguments if word not in marked and "=" not in word], marked)
        unknown = (set() if keys is None else set(given) - set(keys)) | (marked - set(flags))
        if any(word.startswith(("--config-dir", "-cd")) for word in marked):
            told = "--config-dir is of `train` alone; put the files into the conf/ of a project: see `vae-lab new`"
            print(told, file=sys.stderr)
            return 2
        strange = [*unknown, *([] if names else words.names)]
        if strange or "" in given.values() or len(given) < len(pairs):
            told = f"{strange[0]}: no such word here.\n\n" if strange else ""
            print(told + as_started(usage), file=sys.stderr)
            return 2
        try:
            return do(words)
        except BrokenPipeError:  # whoever reads has read enough; Python would write once more as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except UsageError as error:
            print(error, file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130

    return main
