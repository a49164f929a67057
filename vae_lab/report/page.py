"""The report as one HTML file: no network, no script, for a screen, a phone and paper."""

import base64
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vae_lab.report import figures
from vae_lab.report.report import Report
from vae_lab.report.selection import COMMIT_TAG, started
from vae_lab.report.statistics import BOOTSTRAP
from vae_lab.report.verdicts import INCOMPLETE, MET, MISSED, REFUSED, Verdict
from vae_lab.tracking.records import RunRecord

PICTURE_BYTES = 2_500_000  # of all embedded pictures of a page
MARKS = {MET: "✓", MISSED: "✗", REFUSED: "✗", INCOMPLETE: "…"}
LOCAL_UI = "http://127.0.0.1:5000"  # where `mlflow ui` answers
VERSIONS = ("tensorflow", "tensorflow-probability", "keras", "mlflow", "python")


def number(value: float, signed: bool = False) -> str:
    """A value in nats or bits, or a dash for none.

    >>> number(-23.456), number(0.0123, signed=True), number(float("nan"))
    ('-23.46', '+0.012', '–')
    """
    if math.isnan(value):
        return "–"
    places = 2 if abs(value) >= 1 else 3
    return f"{value:+.{places}f}" if signed else f"{value:.{places}f}"


def interval(low: float, high: float, signed: bool = False) -> str:
    """An interval's ends, or a dash for none."""
    return "–" if math.isnan(low) else f"[{number(low, signed)}, {number(high, signed)}]"


def p_text(p: float) -> str:
    """A p-value, or a dash for none."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seeds_text(needed: int | None) -> str:
    """How many seeds a difference needs."""
    return "–" if needed is None else str(needed)


def headline(report: Report) -> str:
    """The study's outcome in a line."""
    judged: Sequence[Verdict] = report.judged
    if report.study.changed:
        settings = ", ".join(report.study.changed)
        return f"Run with {settings}: what the study expects is not of these settings. {spread(report)}".strip()
    if not report.verdicts:
        return f"No expectation is stated. {spread(report)}".strip()
    if not judged:
        return "The study states nothing that is judged by: its numbers are from memory."
    undecided = sum(verdict.state in (MET, MISSED) and verdict.undecided for verdict in judged)
    met = sum(verdict.state == MET and not verdict.undecided for verdict in judged)
    waiting = sum(verdict.state not in (MET, MISSED, REFUSED) for verdict in judged)
    rest = f", {undecided} undecided by these seeds" if undecided else ""
    rest += f", {waiting} not complete" if waiting else ""
    return f"{met} of {len(judged)} expectations met{rest}."


def spread(report: Report) -> str:
    """The arms with the lowest and the highest mean of the study's metric."""
    metric = report.study.metric
    means = sorted((row.cells[metric].mean, row.arm) for row in report.table.rows if metric in row.cells)
    if len(means) < 2:
        return ""
    (low, lowest), (high, highest) = means[0], means[-1]
    return f"Mean {metric} goes from {number(low)} ({lowest}) to {number(high)} ({highest})."


def run_link(report: Report, run: RunRecord) -> str:
    """Where the MLflow UI shows a run."""
    host = report.store.uri.rstrip("/") if report.store.uri.startswith("http") else LOCAL_UI
    return f"{host}/#/experiments/{run.experiment_id}/runs/{run.run_id}"


def origin(report: Report) -> list[tuple[str, str]]:
    """Where the numbers are from: code, machine, packages, time, as of the newest counted run."""
    runs = report.runs.all
    if not runs:
        return []
    newest = max(runs, key=lambda run: run.started)
    tags = newest.tags
    seconds = sum(run.seconds or 0 for run in runs)
    facts = [
        ("commit", tags.get(COMMIT_TAG, "not a git checkout") + (" and changes" * (tags.get("git.dirty") == "true"))),
        ("machine", f"{tags.get('machine.kind', 'unknown')}, {tags.get('machine.cores', '?')} cores"),
        ("run time", f"{duration(seconds)} for {len(runs)} runs"),
        ("runs of", f"{started(min(runs, key=lambda run: run.started))} to {started(newest)} UTC"),
        ("packages", ", ".join(f"{name} {tags[f'version.{name}']}" for name in VERSIONS if f"version.{name}" in tags)),
        ("data (SHA-256)", ", ".join(sorted({run.tags.get("vae_lab.data_sha256", "none")[:16] for run in runs}))),
    ]
    return [(name, text) for name, text in facts if text]


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(48), duration(600), duration(9000)
    ('48 s', '10.0 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def pictures(report: Report) -> tuple[list[dict[str, Any]], int]:
    """Embedded pictures by kind, the arms side by side, and how many arms are left out for the page's size."""
    arms = list(report.study.arms)
    spent, left_out = 0, set()
    kinds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in report.sheets}
    for arm in arms:
        of_arm = {kind: by_arm[arm] for kind, by_arm in report.sheets.items() if arm in by_arm}
        spent += sum(len(png) for _, _, png in of_arm.values())
        if spent > PICTURE_BYTES:
            left_out.add(arm)
            continue
        for kind, (seed, epoch, png) in of_arm.items():
            data = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            kinds[kind].append({"arm": arm, "seed": seed, "epoch": epoch, "data": data})
    return [{"kind": kind.replace("_", " "), "sheets": sheets} for kind, sheets in kinds.items()], len(left_out)


def curve_plots(report: Report) -> list[dict[str, Any]]:
    """The plots by epoch, each with what it shows."""
    drawn: list[dict[str, Any]] = []
    for key in report.curves:
        what = "the mean over an epoch while it trains" if key.startswith("running/") else "at fixed weights"
        drawn.append(
            {
                "svg": Markup(figures.curves(report, key)),
                "caption": f"{key}, {what}: mean over seeds; the band is from the smallest to the largest seed. "
                "Drawn as far as all seeds of an arm have come; the first epochs lie below.",
            }
        )
    return drawn


def results_plots(report: Report) -> list[dict[str, Any]]:
    """The plots of final metrics: differences from the reference, and the rate-distortion plane."""
    drawn = []
    if differences := figures.differences(report):
        caption = (
            f"{report.study.metric}. Circles: seeds; bar: their mean; wide band: 95% interval over seeds (an arrow "
            "where it goes on); thin line below: 95% interval over test images. Green: what the study expects."
        )
        drawn.append({"svg": Markup(differences), "caption": caption})
    if plane := figures.rate_distortion(report):
        caption = "Every run's test rate and distortion. On a dotted line the ELBO is the same; up and right is worse."
        drawn.append({"svg": Markup(plane), "caption": caption})
    return drawn


def page(report: Report) -> str:
    """The report as HTML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "number": number, "interval": interval, "p_text": p_text, "seeds_text": seeds_text, "started": started
    }  # fmt: skip
    kinds, left_out = pictures(report)
    arms = list(report.study.arms)
    return environment.get_template("page.html").render(
        report=report,
        study=report.study,
        headline=headline(report),
        marks=MARKS,
        chips={arm: figures.colour(place) for place, arm in enumerate(arms)},
        results=results_plots(report),
        curves=curve_plots(report),
        kinds=kinds,
        left_out=left_out,
        origin=origin(report),
        bootstrap=BOOTSTRAP,
        link=lambda run: run_link(report, run),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
