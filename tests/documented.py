"""The commands that the documentation shows: found in its blocks, and run one after the other in one process.

A comment before a block says what becomes of it; readers do not see it.

    <!-- run: WORDS -->      it is run in a folder of its page; WORDS, such as training.epochs=1, are given to `train`
                             in place of those of the same key
    <!-- checked: REASON --> it is not run, for that reason; its words are known and compose

A block without a comment is checked. `python tests/documented.py < list` runs a list: see `main`.
"""

import contextlib
import io
import json
import os
import re
import runpy
import shlex
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"^<!-- (run|checked): ?(.*?) ?-->$")
# Subcommands of vae-lab whose script has another name.
SCRIPTS = {"data": "download_data"}


@dataclass(frozen=True)
class Step:
    """A command, or a block of Python, of a page.

    Attributes:
      page, line: where it stands.
      mode: run or checked.
      note: words to add, or the reason why it is not run.
      language: console or python.
      text: the command in one line, or the block.
    """

    page: str
    line: int
    mode: str
    note: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def words(self) -> list[str]:
        """A command's words, without the comment at its end."""
        return shlex.split(self.text, comments=True)


def blocks(text: str) -> list[tuple[int, str, str, str, list[str]]]:
    """Blocks of code of a page, fenced or indented: (line, mode, note, language, lines)."""
    found, mark, lines = [], ("checked", ""), text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if match := MARK.match(line):
            mark = match.groups()
        elif (fence := re.match(r"^(`{3,})(\w*)", line)) or line.startswith("    "):
            start = number + 1 if fence else number
            end = start
            inside = (lambda at: lines[at] != fence[1]) if fence else (lambda at: re.match(r"^( {4}|$)", lines[at]))
            while end < len(lines) and inside(end):
                end += 1
            content = lines[start:end] if fence else [one[4:] for one in lines[start:end]]
            found.append((start + 1, *mark, fence[2] if fence else "console", content))
            mark, number = ("checked", ""), end if fence else end - 1
        elif line.strip():
            mark = ("checked", "")
        number += 1
    return found


def steps(page: Path) -> list[Step]:
    """The commands of a page, and the blocks of Python that are run."""
    name, found = str(page.relative_to(CHECKOUT)), []
    for first, mode, note, language, lines in blocks(page.read_text()):
        if language == "python" and mode == "run":
            found.append(Step(name, first, mode, note, language, "\n".join(lines)))
        elif language == "console":
            begun = 0
            for place, line in enumerate(lines):
                if not line.endswith("\\"):
                    whole = "".join(part.removesuffix("\\") for part in lines[begun : place + 1])
                    if is_command(whole):
                        found.append(Step(name, first + begun, mode, note, language, whole))
                    begun = place + 1
    return found


def is_command(line: str) -> bool:
    """Whether a line of a block is one of our commands: of an indented block it can be anything."""
    return bool(re.match(r"(uv run )?(vae-lab|python scripts/|python tests/|make|scripts/)", line.strip()))


def script_of(words: list[str]) -> tuple[str, list[str]]:
    """`vae-lab NAME ...` or `python scripts/NAME.py ...` -> (the script's name, the other words)."""
    if words[0] == "vae-lab":
        return SCRIPTS.get(words[1], words[1]), words[2:]
    return Path(words[1]).stem, words[2:]


def shortened(words: list[str], note: str) -> list[str]:
    """A command's words with those of a note, which take the place of their like."""
    others = shlex.split(note)
    keys = {word.partition("=")[0] for word in others}
    return [*(word for word in words if word.partition("=")[0] not in keys), *others]


def run_script(name: str, words: list[str]) -> int:
    """A script's exit code, run in this process."""
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    path = CHECKOUT / "scripts" / f"{name}.py"
    sys.argv = [str(path), *words]
    try:
        if not path.is_file():  # a subcommand without a door in scripts/
            from vae_lab.__main__ import main

            return main([name, *words])
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    """Reads a JSON list of {page, language, text, note}; writes one line of JSON a step: its exit code and output.

    PARENT_RUN_ID and RUN_ID stand for the last ones that a command printed.
    """
    ids, root = {}, Path.cwd()
    for number, step in enumerate(json.load(sys.stdin)):
        folder = root / Path(step["page"]).stem
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
        text = step["text"]
        for name in ("PARENT_RUN_ID", "RUN_ID"):
            text = text.replace(name, ids.get(name, name))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                if step["language"] == "python":
                    exec(compile(text, step["page"], "exec"), {})
                    code = 0
                else:
                    name, words = script_of(shlex.split(text, comments=True))
                    code = run_script(name, shortened(words, step["note"]) if name == "train" else words)
            except BaseException:
                traceback.print_exc()
                code = 1
        for name, line in (("PARENT_RUN_ID", "sweep"), ("RUN_ID", "run")):
            if found := re.findall(rf"^{line}: (\w+)$", printed.getvalue(), re.MULTILINE):
                ids[name] = found[-1]
        print(json.dumps([number, code, printed.getvalue()]), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main()
