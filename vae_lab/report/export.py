"""A study as files that a reviewer can read without the database."""

import itertools
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from vae_lab.errors import UsageError, told
from vae_lab.report.curves import BY_EPOCH, SPLITS_BY_EPOCH
from vae_lab.report.files import files, write_files
from vae_lab.report.report import Report
from vae_lab.report.table import csv_table
from vae_lab.tracking.artifacts import CONFIG, artifact
from vae_lab.tracking.records import metric_history

READ_ME = """{name}
{line}

{question}

Command: {command}

page.html        the report: open it in a browser, it needs no network
table.*          mean and standard error over seeds (Markdown, CSV with intervals, LaTeX with booktabs)
differences.csv  each arm minus the reference arm, paired over seeds and over test images
verdicts.*       what was expected and what was found (Markdown, CSV with p-values)
sequences.csv    where seeds were added while looking: each claim's interval after each seed
runs.csv         a line for each run: state, seed, commit, final metrics; those that do not count say why
curves.csv       metrics by epoch of the runs that count: run, metric, epoch, value
arms.csv         in which folder of the next two each arm is
configs/         the whole configuration of each run that counts, arm by arm: SEED.yaml
per_image/       its values of each test image, float64 in nats: elbo, rate, distortion, log_likelihood: SEED.npz

All in nats per image unless a name says otherwise.
"""


def export(report: Report, target: Path) -> Path:
    """Writes a study as a folder, or as one zip where the target's name ends so.

    Raises:
      UsageError: where `require_target` does.
    """
    require_target(target)
    if target.suffix != ".zip":
        write_study(report, target)
        return target
    with tempfile.TemporaryDirectory() as folder:
        write_study(report, Path(folder) / target.stem)
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.make_archive(str(target.with_suffix("")), "zip", folder))


def require_target(target: Path) -> None:
    """Raises UsageError when an export's target exists and is no empty folder, or cannot be made."""
    try:
        if target.is_file() or (target.is_dir() and any(target.iterdir())):
            raise UsageError(f"export={target} exists; name a new folder or zip")
    except OSError as error:
        raise UsageError(f"export={target} cannot be read ({told(error)}); name another place") from None
    require_folder(target.parent if target.suffix == ".zip" else target, f"export={target}")


def require_folder(folder: Path, given: str) -> None:
    """Raises UsageError where a folder is none that can be written to, nor one that can be made."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except OSError as error:
        raise UsageError(f"{given} cannot be made ({told(error)}); name another place") from None
    if not there.is_dir():
        raise UsageError(f"{given} cannot be made: {there} is a file; name another place")
    try:
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError:
        raise UsageError(f"{given} cannot be made: {there} cannot be written to; name another place") from None


def folders_of(arms: Iterable[str]) -> dict[str, str]:
    """By arm, a folder's name that every system takes and that no two arms share, upper case or lower.

    >>> folders_of(["a/b", "a_b", "mvn"])
    {'a/b': 'a_b', 'a_b': 'a_b-2', 'mvn': 'mvn'}
    """
    found: dict[str, str] = {}
    for arm in arms:
        plain = re.sub(r"[^\w=,+-]+", "_", arm)[:100].strip("_") or "arm"
        taken = {name.casefold() for name in found.values()}
        names = (plain if number == 1 else f"{plain}-{number}" for number in itertools.count(1))
        found[arm] = next(name for name in names if name.casefold() not in taken)
    return found


def write_study(report: Report, folder: Path) -> None:
    """Writes the report's files, configurations, values by image and curves into a folder."""
    write_files(files(report), folder)
    study = report.study
    text = READ_ME.format(
        name=study.name, line="=" * len(study.name), question=study.question or "", command=study.command
    )
    (folder / "README.txt").write_text(text, encoding="utf-8")
    (folder / "curves.csv").write_text(curves_csv(report), encoding="utf-8")
    folders = folders_of(report.runs.counted)
    index = csv_table(["arm", "folder"], [[arm, name] for arm, name in folders.items()])
    (folder / "arms.csv").write_text(index, encoding="utf-8")
    for arm, runs in report.runs.counted.items():
        for seed, run in runs.items():
            for name, room in ((CONFIG, "configs"), ("evaluation/test.npz", "per_image")):
                with tempfile.TemporaryDirectory() as fetched:
                    if path := artifact(report.store, run, name, Path(fetched)):
                        place = folder / room / folders[arm]
                        place.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(path, place / f"{seed}{path.suffix}")


def curves_csv(report: Report) -> str:
    """The metrics by epoch of the counted runs, a line a value."""
    by_id = {run.run_id: run for run in report.runs.all}
    rows = [
        [run_id, by_id[run_id].name, key, epoch, value]
        for key in (f"{split}/{quantity}" for split in SPLITS_BY_EPOCH for quantity in BY_EPOCH)
        for run_id, history in metric_history(report.store, list(by_id), key).items()
        for epoch, value in sorted(history.items())
    ]
    return csv_table(["run", "name", "metric", "epoch", "value"], rows)
