"""A study's outcome in a line, and where its numbers are from."""

from collections.abc import Sequence

from vae_lab.report.format import number, spoken
from vae_lab.report.report import Report
from vae_lab.report.selection import started
from vae_lab.report.statistics import ALPHA, BOOTSTRAP, POWER
from vae_lab.report.verdicts import MET, MISSED, REFUSED, Verdict
from vae_lab.tracking.environment import COMMIT, DIRTY, OWN_COMMIT, OWN_DIRTY

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
        return f"The study states nothing that is judged by, but only what is shown. {spread(report)}".strip()
    undecided = sum(verdict.undecided for verdict in judged)
    met = sum(verdict.state == MET and verdict.decided for verdict in judged)
    waiting = sum(verdict.state not in (MET, MISSED, REFUSED) for verdict in judged)
    rest = ""
    for state in (MET, MISSED):
        if of_one := sum(verdict.by_one_seed and verdict.state == state for verdict in judged):
            rest += f", {of_one} {state} by one seed"
    rest += f", {undecided} undecided by these seeds" if undecided else ""
    rest += f", {waiting} not complete" if waiting else ""
    return f"{met} of {len(judged)} expectations met{rest}."


def spread(report: Report) -> str:
    """The arms with the lowest and the highest mean of the study's metric."""
    metric = report.study.metric
    means = sorted((row.cells[metric].mean, row.named) for row in report.table.rows if metric in row.cells)
    if len(means) < 2:
        return ""
    (low, lowest), (high, highest) = means[0], means[-1]
    return f"Mean {metric} goes from {number(low)} ({lowest}) to {number(high)} ({highest})."


def rule(report: Report) -> str:
    """How the claims of a page are judged."""
    if report.study.sequential:
        family = len(report.courses)
        return (
            "Seeds were added while looking, to the claims that were open (sweep.until=decided). A claim is met at "
            "the first number of seeds at which its confidence sequence, an interval that holds at every number of "
            "seeds at once (Lai 1976; Wang and Ramdas 2023), lies inside its bounds, and missed where it lies beyond "
            f"one. Each interval is of level 1 - {ALPHA}/{max(1, family)}, for {family} judged, so that with "
            f"probability {1 - ALPHA:g} no decision of the page is false, if seeds differ about normally; that of "
            "counts and shares (Waudby-Smith and Ramdas 2024) asks only for their range."
        )
    return (
        "A value is decided where its 95% interval over seeds lies inside its bounds or outside them. A difference is "
        "decided where its mean leaves its bounds by p at most 0.05, or keeps within them so, as one of the "
        "differences of this page, table and claims, that are corrected together by Holm "
        f"({report.family} with a p). One seed decides nothing and is counted apart. A value whose tolerance is wider "
        "than the effect in question is shown and not judged."
    )


def method(report: Report) -> str:
    """How the differences of a page are worked out."""
    if report.study.sequential:
        return (
            "Over seeds: paired by seed, with the 95% interval of a number of seeds fixed before looking. Here seeds "
            "were added while looking, so that this interval is too narrow, no p is told, and nothing is decided by "
            "this table: the confidence sequences decide. Over images: each arm averaged over those seeds, interval by "
            f"{BOOTSTRAP}; it is of these trained models, and says nothing of other seeds; its p-values are corrected "
            "over the arms."
        )
    effect = report.study.smallest_effect
    needed = (
        f"Seeds needed: for power {POWER} at level {ALPHA} over {report.family}, two-sided, if the true difference is "
        f"{effect:g}, the study's smallest effect, and the spread that of these seeds."
        if effect
        else "Seeds needed: not told, since the study names no smallest_effect."
    )
    return (
        "Over seeds: paired by seed, 95% interval and p by Student's t; of counts, and where most are tied, by all "
        "signs of the differences, which takes six seeds; no spread, no p. p, Holm: corrected over the table and the "
        f"claims that are differences, {report.family} with a p in all; each interval is of one difference alone. "
        f"{needed} Seeds are fixed before looking: to add some until p is small finds differences where there are "
        f"none. Over images: each arm averaged over those seeds, interval by {BOOTSTRAP}; it is of these trained "
        "models, and says nothing of other seeds; its p-values are corrected over the arms."
    )


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
        ("project's commit", tags.get(OWN_COMMIT, "") + (" and changes" * (tags.get(OWN_DIRTY) == "true"))),
        ("machine", f"{tags.get('machine.kind', 'unknown')}, {tags.get('machine.cores', '?')} cores"),
        ("run time", f"{spoken(seconds)} for {len(runs)} runs"),
        ("runs of", f"{started(min(runs, key=lambda run: run.started))} to {started(newest)} UTC"),
        ("packages", ", ".join(f"{name} {tags[f'version.{name}']}" for name in VERSIONS if f"version.{name}" in tags)),
        ("data (SHA-256)", ", ".join(sorted({run.tags.get("vae_lab.data_sha256", "none")[:16] for run in runs}))),
    ]
    return [(name, text) for name, text in facts if text]
