"""A study as files that a reviewer can read without the database."""

import shutil
import tempfile
from pathlib import Path

from vae_lab.errors import UsageError
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
runs.csv         a line for each run: state, seed, commit, final metrics; those that do not count say why
curves.csv       metrics by epoch of the runs that count: run, metric, epoch, value
configs/         the whole configuration of each run that counts, arm by arm: SEED.yaml
per_image/       its values of each test image, float64 in nats: elbo, rate, distortion, log_likelihood: SEED.npz

All in nats per image unless a name says otherwise.
"""


def export(report: Report, target: Path) -> Path:
    """Writes a study as a folder, or as one zip where the target's name ends so.

    Raises:
      UsageError: when the target exists and is no empty folder.
    """
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise UsageError(f"export={target} exists; name a new folder or zip")
    if target.suffix != ".zip":
        write_study(report, target)
        return target
    with tempfile.TemporaryDirectory() as folder:
        write_study(report, Path(folder) / target.stem)
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.make_archive(str(target.with_suffix("")), "zip", folder))


def write_study(report: Report, folder: Path) -> None:
    """Writes the report's files, configurations, values by image and curves into a folder."""
    write_files(files(report), folder)
    study = report.study
    text = READ_ME.format(
        name=study.name, line="=" * len(study.name), question=study.question or "", command=study.command
    )
    (folder / "README.txt").write_text(text, encoding="utf-8")
    (folder / "curves.csv").write_text(curves_csv(report), encoding="utf-8")
    for arm, runs in report.runs.counted.items():
        for seed, run in runs.items():
            for name, room in ((CONFIG, "configs"), ("evaluation/test.npz", "per_image")):
                with tempfile.TemporaryDirectory() as fetched:
                    if path := artifact(report.store, run, name, Path(fetched)):
                        place = folder / room / arm.replace("/", "_")
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
