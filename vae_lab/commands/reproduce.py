"""Runs an experiment as its file says, and judges it by what the file expects.

vae-lab reproduce --list
vae-lab reproduce --table
vae-lab reproduce quickstart
vae-lab reproduce quickstart --write tracking.uri=sqlite:////path/mlflow.db

--list shows every experiment with its question, its cost on two cores and how many of its jobs are finished. --write
puts the results into docs/results/NAME.md and NAME.json, a line into the README.md there and a mark into the plot of
published values; --table writes that README.md's table and the plot anew from all pages. Words that say where and
how, such as tracking.uri=, data.dir= or hydra/launcher=, go to `train`. Exit code: 0 where every judged row is met by
the mean (or none is stated and all ran), 1 where one is missed or not run, 2 for a usage error.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vae_lab.config.options import PACKAGE, command_of, is_installed
from vae_lab.config.project import project
from vae_lab.console.command import Words, as_started, command
from vae_lab.errors import UsageError


def reproduce_or_list(words: Words) -> int:
    """Lists or reproduces."""
    from vae_lab.study.identity import PLACES

    settings = [f"{key}={value}" for key, value in words.given.items()]
    alone = len(words.flags) == 1 and words.flags <= {"--list", "--table"}
    if len(words.names) != (0 if alone else 1) or not (alone or words.flags <= {"--write"}):
        print(as_started(__doc__), file=sys.stderr)
        return 2
    if other := [word for word in settings if not word.startswith(PLACES)]:
        raise UsageError(f"{other[0]} would make it another experiment; use `{command_of('train')}` and report sweep=")
    if alone:
        return list_experiments(settings) if "--list" in words.flags else write_table(settings)
    return reproduce(words.names[0], settings, "--write" in words.flags)


def places(settings: list[str]) -> Any:
    """The configuration as far as the settings say where things are."""
    from vae_lab.config.compose import compose_unchecked

    return compose_unchecked(*(word for word in settings if word.startswith(("tracking.", "paths."))))


def own_data(settings: list[str]) -> list[str]:
    """The settings that an experiment's jobs need to be known by."""
    return [word for word in settings if word.startswith("data.path=")]


def list_experiments(settings: list[str]) -> int:
    """Prints a line for each experiment."""
    from vae_lab.console.terminal import show_lines
    from vae_lab.study.code import Sources
    from vae_lab.study.experiments import read_experiment
    from vae_lab.tracking.records import newest_of
    from vae_lab.tracking.store import look_into

    tracking = places(settings).tracking
    store, sources = look_into(tracking.uri, tracking.experiment_name), Sources()
    found, refused = [], []
    for name in names_one_by_one():
        try:
            found.append(read_experiment(name, own_data(settings), sources))
        except UsageError as error:  # of one file: the others are listed
            refused.append(f"{name}: {error}")
    identities = {job.evaluation for one in found for job in one.study.jobs}
    there = newest_of(store, identities) if store is not None else {}
    done = {identity for identity, run in there.items() if run is not None and run.status == "FINISHED"}
    lines = []
    for one in found:
        finished = sum(job.evaluation in done for job in one.study.jobs)
        progress = f"{finished} of {len(one.study.jobs)}"
        lines.append([one.name, one.study.question or "", one.cost or "not stated", progress])
    show_lines("experiments", ["name", "question", "cost on two cores", "jobs finished"], lines, left=3)
    for line in refused:
        print(f"error: {line}", file=sys.stderr)
    return 2 if refused else 0


def reproduce(name: str, settings: list[str], write: bool) -> int:
    """Trains, reports and judges."""
    from vae_lab.report.files import publish
    from vae_lab.report.report import gather
    from vae_lab.report.screen import show_report
    from vae_lab.study.experiments import read_experiment
    from vae_lab.tracking.store import database_path, open_store

    folder = results_folder() if write else None
    study, there = read_experiment(name, own_data(settings)).study, places(settings)
    training = [sys.executable, "-m", "vae_lab", "train", f"experiment={name}", *settings]
    code = subprocess.run(training, check=False).returncode
    path = database_path(there.tracking.uri)
    if code not in (0, 1) or (path is not None and not path.is_file()):
        return code
    store = open_store(there.tracking.uri, there.tracking.experiment_name, existing=True)
    found = gather(store, study)
    print(f"\npage: {publish(found, Path(there.paths.outputs) / 'reports' / name)}")
    show_report(found)
    if folder is not None:
        from vae_lab.report.published_figure import write_published
        from vae_lab.report.results_folder import read_results, write_results

        print(f"results: {write_results(found, folder, studies_now(settings))}")
        write_published(read_results(folder), folder)
    return 1 if code else exit_code(found)


def write_table(settings: list[str]) -> int:
    """Writes the table of all pages anew, and their plot."""
    from vae_lab.report.published_figure import write_published
    from vae_lab.report.results_folder import read_results, write_index

    folder = results_folder()
    write_index(folder, studies_now(settings))
    write_published(read_results(folder), folder)
    print(f"table: {folder / 'README.md'}")
    return 0


def studies_now(settings: list[str]) -> dict[str, Any]:
    """All studies by name, with the identities that their jobs have now."""
    from vae_lab.study.code import Sources
    from vae_lab.study.experiments import read_experiment

    sources = Sources()
    return {name: read_experiment(name, own_data(settings), sources).study for name in names_one_by_one()}


def names_one_by_one() -> Iterable[str]:
    """The names of all experiments, with a bar on a terminal, since to read one takes a while."""
    from rich.console import Console
    from rich.progress import track

    from vae_lab.study.experiments import experiment_names

    screen = Console(stderr=True)
    return track(experiment_names(), "experiments", console=screen, transient=True, disable=not screen.is_terminal)


def results_folder() -> Path:
    """Where pages of results are kept: docs/results of the project, or of the checkout.

    Raises:
      UsageError: where there is neither.
    """
    if (found := project()) is not None:
        return found.root / "docs" / "results"
    if is_installed():
        raise UsageError("--write has no docs/results to write to; start it within a project (vae-lab new makes one)")
    return PACKAGE.parent / "docs" / "results"


def exit_code(found: Any) -> int:
    """0 where all planned jobs have run and no judged row speaks against the study."""
    return 0 if found.finished == len(found.study.jobs) and all(row.holds for row in found.verdicts) else 1


main = command(reproduce_or_list, __doc__, keys=None, flags=("--list", "--table", "--write"), names=True)
