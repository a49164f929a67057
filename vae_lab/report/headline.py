"""A study's outcome in a line, and where its numbers are from."""

from collections.abc import Sequence

from vae_lab.report.format import number, spoken
from vae_lab.report.report import Report
from vae_lab.report.selection import started
from vae_lab.report.verdicts import MET, MISSED, REFUSED, Verdict
from vae_lab.tracking.environment import COMMIT, DIRTY

VERSIONS = ("tensorflow", "tensorflow-probability", "keras", "mlflow", "python")


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


def origin(report: Report) -> list[tuple[str, str]]:
    """Where the numbers are from: code, machine, packages, time, as of the newest counted run."""
    runs = report.runs.all
    if not runs:
        return []
    newest = max(runs, key=lambda run: run.started)
    tags = newest.tags
    seconds = sum(run.seconds or 0 for run in runs)
    facts = [
        ("commit", tags.get(COMMIT, "not a git checkout") + (" and changes" * (tags.get(DIRTY) == "true"))),
        ("machine", f"{tags.get('machine.kind', 'unknown')}, {tags.get('machine.cores', '?')} cores"),
        ("run time", f"{spoken(seconds)} for {len(runs)} runs"),
        ("runs of", f"{started(min(runs, key=lambda run: run.started))} to {started(newest)} UTC"),
        ("packages", ", ".join(f"{name} {tags[f'version.{name}']}" for name in VERSIONS if f"version.{name}" in tags)),
        ("data (SHA-256)", ", ".join(sorted({run.tags.get("vae_lab.data_sha256", "none")[:16] for run in runs}))),
    ]
    return [(name, text) for name, text in facts if text]
