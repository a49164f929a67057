"""A report's files: the page, the tables, the list of runs."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vae_lab.report.format import number
from vae_lab.report.page import page
from vae_lab.report.report import Report
from vae_lab.report.selection import started
from vae_lab.report.sequential import courses_csv
from vae_lab.report.table import csv_table, markdown_table
from vae_lab.tracking.artifacts import log_folder
from vae_lab.tracking.environment import COMMIT, DIRTY
from vae_lab.tracking.records import RunRecord

PAGE = "page.html"
FINAL = ("test/", "train/", "perf/")


def files(report: Report) -> dict[str, str]:
    """The texts of a report's files, by name."""
    sequences = {"sequences.csv": courses_csv(report.courses)} if report.courses else {}
    return sequences | {
        "table.md": report.table.markdown(),
        "table.csv": report.table.csv(),
        "table.tex": report.short_table.latex(),
        "differences.csv": differences_csv(report),
        "verdicts.md": verdicts_markdown(report),
        "verdicts.csv": verdicts_csv(report),
        "runs.csv": runs_csv(report),
        PAGE: page(report),
    }


def write_files(texts: Mapping[str, str], folder: Path) -> Path:
    """Writes a report's files into a folder and returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / PAGE


def publish(report: Report, folder: Path) -> Path:
    """Writes a report's files, also to the newest parent run as its folder report/; returns the page's path.

    A store that cannot be written to is left as it is.
    """
    texts = files(report)
    if report.runs.sweeps and report.store.writable:
        with tempfile.TemporaryDirectory() as temporary:
            write_files(texts, Path(temporary))
            log_folder(report.store, report.runs.sweeps[-1].run_id, Path(temporary), "report")
    return write_files(texts, folder)


def verdicts_markdown(report: Report) -> str:
    """The expectations and what came of them, in Markdown."""
    header = ["expectation", "metric", "expected", "found", "verdict", "source"]
    return markdown_table(
        header,
        [
            [
                report.named(*verdict.expectation.arms),
                verdict.expectation.metric,
                verdict.expectation.stated,
                number(verdict.got.mean, len(verdict.expectation.arms) > 1) if verdict.got else "",
                verdict.says() + (f": {verdict.notes}" if verdict.notes else ""),
                f"{verdict.expectation.source} ({verdict.expectation.mark})",
            ]
            for verdict in report.verdicts
        ],
    )


def verdicts_csv(report: Report) -> str:
    """The expectations and what came of them, at full precision."""
    header = ["arms", "metric", "low", "high", "mark", "judged", "lost seeds", "state", "decided"]
    rows = []
    for one in report.verdicts:
        claim, got = one.expectation, one.got or ("", "", "", "", "")
        row = [" - ".join(claim.arms), claim.metric, claim.low, claim.high, claim.mark, claim.judged]
        row += [bool(report.mark(*claim.arms)), one.state, one.decided, *got, one.missed_by, one.p, one.corrected]
        rows.append(row)
    return csv_table(
        [*header, "count", "mean", "standard error", "95% low", "95% high", "missed by", "p", "p corrected"], rows
    )


def differences_csv(report: Report) -> str:
    """The comparisons at full precision."""
    parts = ["count", "mean", "standard error", "95% low", "95% high", "p", "p Holm"]
    header = ["arm", "reference", "metric", "refused", "lost seeds", "family", "seeds", "seeds needed"]
    header += [f"{over} {part}" for over in ("seeds", "images") for part in parts]
    rows = []
    for one in report.comparisons:
        row: list[Any] = [one.arm, one.reference, report.study.metric, one.refused or ""]
        row += [bool(report.mark(one.arm, one.reference)), report.family]
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
            row += [run.run_id, run.name, started(run), run.seconds, tags.get(COMMIT), tags.get(DIRTY)]
            row += [tags.get("vae_lab.training"), tags.get("vae_lab.group")]
            row += [run.metrics.get(key, "") for key in keys]
        rows.append(row)
    return csv_table([*header, *keys], rows)
