"""A report's files: the page, the tables, the list of runs."""

from pathlib import Path
from typing import Any

from vae_lab.report.gather import Report, gather
from vae_lab.report.page import number, page
from vae_lab.report.runs import COMMIT_TAG, started
from vae_lab.report.study import Study
from vae_lab.report.table import csv_table, markdown_table
from vae_lab.tracking.artifacts import log_folder
from vae_lab.tracking.records import RunRecord
from vae_lab.tracking.store import Store

PAGE = "page.html"
FINAL = ("test/", "train/", "perf/")


def write_report(
    store: Store, study: Study, folder: Path, sweep: str | None = None, reference: str | None = None
) -> Path:
    """Reports a study from its tracked runs, finished or not.

    Args:
      store: where the runs are.
      study: what was planned, as `make_study` makes it.
      folder: takes page.html, table.md, .csv and .tex, differences.csv, verdicts.md and runs.csv.
      sweep: id of the parent run whose jobs are reported; None for all sweeps of the experiment.
      reference: the arm that the others are compared with; None for the first.

    Returns:
      The page's path.
    """
    return write_files(gather(store, study, sweep, reference), folder)


def write_files(report: Report, folder: Path) -> Path:
    """Writes a gathered report's files and returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "table.md": report.table.markdown(),
        "table.csv": report.table.csv(),
        "table.tex": report.table.latex(),
        "differences.csv": differences_csv(report),
        "verdicts.md": verdicts_markdown(report),
        "runs.csv": runs_csv(report),
        PAGE: page(report),
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / PAGE


def publish(report: Report, folder: Path) -> Path:
    """Writes a gathered report's files, and copies them to the newest parent run as its artifact folder report/."""
    path = write_files(report, folder)
    if report.runs.sweeps:
        log_folder(report.store, report.runs.sweeps[-1].run_id, folder, "report")
    return path


def verdicts_markdown(report: Report) -> str:
    """The claims and what came of them, in Markdown."""
    header = ["claim", "metric", "expected", "found", "verdict", "source"]
    return markdown_table(
        header,
        [
            [
                verdict.claim.subject,
                verdict.claim.metric,
                verdict.claim.stated,
                number(verdict.got.mean, len(verdict.claim.arms) > 1) if verdict.got else "",
                verdict.says() + (f": {verdict.why}" if verdict.why else ""),
                f"{verdict.claim.source} ({verdict.claim.mark})",
            ]
            for verdict in report.verdicts
        ],
    )


def differences_csv(report: Report) -> str:
    """The comparisons at full precision."""
    parts = ["count", "mean", "standard error", "95% low", "95% high", "p", "p Holm"]
    header = ["arm", "reference", "metric", "refused", "seeds", "seeds needed"]
    header += [f"{over} {part}" for over in ("seeds", "images") for part in parts]
    rows = []
    for one in report.comparisons:
        row: list[Any] = [one.arm, one.reference, report.study.metric, one.refused or ""]
        row += [" ".join(map(str, one.seeds)), one.needed or ""]
        for difference, corrected in ((one.over_seeds, one.seeds_holm), (one.over_images, one.images_holm)):
            row += [*difference, corrected] if difference else [""] * len(parts)
        rows.append(row)
    return csv_table(header, rows)


def runs_csv(report: Report) -> str:
    """Every run of the study, counted or not, a line each."""
    entries: list[tuple[str, int | None, RunRecord | None, str, str]] = [
        (arm, seed, run, "counted", "") for arm, runs in report.runs.counted.items() for seed, run in runs.items()
    ]
    entries += [(one.arm, one.seed, one.run, one.state, one.why) for one in report.runs.aside]
    keys = sorted({key for *_, run, _, _ in entries if run for key in run.metrics if key.startswith(FINAL)})
    header = [
        "arm",
        "seed",
        "state",
        "why",
        "run",
        "name",
        "started",
        "seconds",
        "commit",
        "dirty",
        "training",
        "group",
    ]
    rows = []
    for arm, seed, run, state, why in entries:
        row: list[Any] = [arm, "" if seed is None else seed, state, why]
        if run is not None:
            tags = run.tags
            row += [run.run_id, run.name, started(run), run.seconds, tags.get(COMMIT_TAG), tags.get("git.dirty")]
            row += [tags.get("vae_lab.training"), tags.get("vae_lab.group")]
            row += [run.metrics.get(key, "") for key in keys]
        rows.append(row)
    return csv_table([*header, *keys], rows)
