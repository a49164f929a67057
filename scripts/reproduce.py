"""Runs an experiment as its file says, and judges it by what the file expects.

python scripts/reproduce.py --list
python scripts/reproduce.py quickstart
python scripts/reproduce.py quickstart --write tracking.uri=sqlite:////path/mlflow.db

--list shows every experiment with its question, its cost on two cores and how many of its jobs are finished. --write
puts the results into docs/results/NAME.md, and a line into the README.md there. Words that say where and how, such as
tracking.uri=, data.dir= or hydra/launcher=, go to scripts/train.py. Exit code: 0 where every judged row is met by the
mean (or none is stated and all ran), 1 where one is missed or not run, 2 for a usage error.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from vae_lab.errors import UsageError

USAGE = __doc__
SCRIPTS = Path(__file__).resolve().parent
OPTIONS = {"--list", "--write"}


def main(arguments: list[str]) -> int:
    """Lists or reproduces."""
    from vae_lab.study.identity import PLACES

    options = {word for word in arguments if word.startswith("--")}
    settings = [word for word in arguments if "=" in word and word not in options]
    names = [word for word in arguments if word not in options and word not in settings]
    listing = options == {"--list"}
    if options - OPTIONS or len(names) != (0 if listing else 1) or (listing and "--write" in options):
        print(USAGE, file=sys.stderr)
        return 2
    if other := [word for word in settings if not word.startswith(PLACES)]:
        print(
            f"{other[0]} would make it another experiment; use scripts/train.py and report.py sweep=", file=sys.stderr
        )
        return 2
    try:
        return list_experiments(settings) if listing else reproduce(names[0], settings, "--write" in options)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2


def places(settings: list[str]) -> Any:
    """The configuration as far as the settings say where things are."""
    from vae_lab.config.compose import compose_unchecked

    return compose_unchecked(*(word for word in settings if word.startswith(("tracking.", "paths."))))


def opened(uri: str) -> Any:
    """The store, or None where there is no database yet."""
    from vae_lab.tracking.store import database_path, open_store

    path = database_path(uri)
    return None if path is not None and not path.is_file() else open_store(uri)


def list_experiments(settings: list[str]) -> int:
    """Prints a line for each experiment."""
    from vae_lab.console.terminal import show_lines
    from vae_lab.report.selection import find_runs
    from vae_lab.study.experiments import experiment_names, read_experiment

    store, lines = opened(places(settings).tracking.uri), []
    for name in experiment_names():
        one = read_experiment(name)
        counted = find_runs(store, one.study).counted if store is not None else {}
        finished = sum(seed in counted.get(arm, {}) for arm, seed in one.study.planned)
        progress = f"{finished} of {len(one.study.planned)}"
        lines.append([name, one.study.question or "", one.cost or "not stated", progress])
    show_lines("experiments", ["name", "question", "cost on two cores", "jobs finished"], lines, left=3)
    return 0


def reproduce(name: str, settings: list[str], write: bool) -> int:
    """Trains, reports and judges."""
    from vae_lab.report.files import publish
    from vae_lab.report.report import gather
    from vae_lab.report.screen import show_report
    from vae_lab.study.experiments import read_experiment

    study, there = read_experiment(name).study, places(settings)
    command = [sys.executable, str(SCRIPTS / "train.py"), f"experiment={name}", *settings]
    code = subprocess.run(command, check=False).returncode
    store = opened(there.tracking.uri) if code in (0, 1) else None
    if store is None:
        return code
    found = gather(store, study)
    print(f"\npage: {publish(found, Path(there.paths.outputs) / 'reports' / name)}")
    show_report(found)
    if write:
        from vae_lab.report.docs_page import write_results

        print(f"results: {write_results(found, SCRIPTS.parent / 'docs' / 'results')}")
    return 1 if code else exit_code(found)


def exit_code(found: Any) -> int:
    """0 where all planned jobs have run and no judged row speaks against the study."""
    return 0 if found.finished == len(found.study.planned) and all(row.holds for row in found.verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
