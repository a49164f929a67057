"""What a plan and a run print."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table as ScreenTable

from vae_lab.console.progress import duration
from vae_lab.console.terminal import console
from vae_lab.tracking.tracked_run import is_alive_here


def show_plan(jobs: Sequence[tuple[str, int, Any]]) -> None:
    """Prints what each job has come to, and how long the rest may take.

    Args:
      jobs: name, epochs, and the job's run or None.
    """
    screen = ScreenTable("job", "run", "state", "test/elbo", "took")
    for name, _, record in jobs:
        if record is None:
            screen.add_row(name, "", "missing")
            continue
        elbo = f"{record.metrics['test/elbo']:.2f}" if is_done(record) else ""
        cut_off = record.status == "RUNNING" and is_alive_here(record.tags) is False
        state = "cut off" if cut_off else record.status.lower()
        screen.add_row(name, record.run_id, state, elbo, duration(record.seconds))
    console().print(screen)
    seconds = [record.seconds / max(1, epochs) for _, epochs, record in jobs if is_done(record)]
    left = [epochs for _, epochs, record in jobs if not is_done(record)]
    text = f"{len(jobs) - len(left)} done, {len(left)} to do"
    if seconds and left:
        mean = sum(seconds) / len(seconds)
        text += f", about {duration(mean * sum(left))} for one worker, as the finished ones took"
    print(text)


def show_run(store: Any, run_id: str) -> None:
    """Prints where a single run is found."""
    print(f"run: {run_id}\nSee it in MLflow:\n  {store.ui_command()}")


def is_done(record: Any) -> bool:
    """Whether a job has a finished run."""
    return record is not None and record.status == "FINISHED"
