"""Tables on the screen."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as ScreenTable

from vae_lab.sweep.progress import duration


def console() -> Console:
    """The terminal; a file gets lines of 140 columns."""
    return Console(width=None if sys.stdout.isatty() else 140)


def show_table(table: Any, title: str) -> None:
    """Prints a sweep's table."""
    caption = (
        "mean ± standard error over seeds, nats per image" if any(row.finished > 1 for row in table.rows) else None
    )
    screen = ScreenTable(title=title, title_justify="left", caption=caption)
    for column in table.header():
        screen.add_column(column, justify="left" if column == "arm" else "right", no_wrap=True)
    for line in table.lines():
        screen.add_row(*line)
    console().print(screen)


def show_plan(jobs: Sequence[Any], records: Sequence[Any]) -> None:
    """Prints what each job of a sweep has come to, and how long the rest may take."""
    screen = ScreenTable("job", "run", "state", "test/elbo", "took")
    seconds = [record.seconds / job.epochs for job, record in zip(jobs, records) if is_done(record)]
    for job, record in zip(jobs, records):
        if record is None:
            screen.add_row(job.name, "", "missing")
            continue
        elbo = f"{record.metrics['test/elbo']:.2f}" if is_done(record) else ""
        screen.add_row(job.name, record.run_id[:8], record.status.lower(), elbo, duration(record.seconds))
    console().print(screen)
    left = [job for job, record in zip(jobs, records) if not is_done(record)]
    text = f"{len(jobs) - len(left)} done, {len(left)} to do"
    if seconds and left:
        mean = sum(seconds) / len(seconds)
        text += f", about {duration(sum(mean * job.epochs for job in left))} for one worker, as the finished ones took"
    print(text)


def is_done(record: Any) -> bool:
    """Whether a job has a finished run."""
    return record is not None and record.status == "FINISHED"
