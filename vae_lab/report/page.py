"""The report as one HTML file: no network, no script, for a screen, a phone and paper."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vae_lab.report import figures
from vae_lab.report.course_figure import course
from vae_lab.report.format import interval, number, p_text, seeds_text
from vae_lab.report.headline import headline, method, origin, rule
from vae_lab.report.report import Report
from vae_lab.report.selection import started
from vae_lab.report.verdicts import INCOMPLETE, MET, MISSED, REFUSED
from vae_lab.tracking.records import RunRecord

PICTURE_BYTES = 2_500_000  # of all embedded pictures of a page
MARKS = {MET: "✓", MISSED: "✗", REFUSED: "✗", INCOMPLETE: "…"}
LOCAL_UI = "http://127.0.0.1:5000"  # where `mlflow ui` answers


def run_link(report: Report, run: RunRecord) -> str:
    """Where the MLflow UI shows a run."""
    host = report.store.uri.rstrip("/") if report.store.uri.startswith("http") else LOCAL_UI
    return f"{host}/#/experiments/{run.experiment_id}/runs/{run.run_id}"


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


def sequence_plots(report: Report) -> list[dict[str, Any]]:
    """The plots of how each claim went over the seeds, each with what it came to."""
    drawn = []
    for place, one in enumerate(report.courses):
        if one.last is None:
            continue
        ends, count = interval(one.last.low, one.last.high, len(one.expectation.arms) > 1), len(one.steps)
        came_to = f"{one.decision[0]} by {one.decision[1]} seeds" if one.decision else "open"
        caption = (
            f"{report.named(*one.expectation.arms)}, {one.expectation.metric}, expected {one.expectation.stated}: "
            f"{came_to}. After {count} seed{'s' * (count > 1)} {ends}."
        )
        drawn.append({"svg": Markup(course(one, place)), "caption": caption})
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
        sequences=sequence_plots(report),
        results=results_plots(report),
        curves=curve_plots(report),
        kinds=kinds,
        left_out=left_out,
        origin=origin(report),
        rule=rule(report),
        method=method(report),
        link=lambda run: run_link(report, run),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
