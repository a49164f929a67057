"""What a plan and a run print."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table as ScreenTable

from vae_lab.console.terminal import console
from vae_lab.report.format import clock
from vae_lab.tracking.heartbeat import is_alive_here
from vae_lab.tracking.standing import Standing


def show_plan(jobs: Sequence[tuple[str, int, Standing]]) -> None:
    """Prints what each job has come to, and how long the rest may take.

    Args:
      jobs: name, epochs and standing.
    """
    screen = ScreenTable("job", "run", "state", "test/elbo", "took", "why")
    for name, _, standing in jobs:
        record = standing.run
        if record is None:
            screen.add_row(name, "", "missing", "", "", standing.why())
            continue
        elbo = f"{record.metrics['test/elbo']:.2f}" if standing.done else ""
        cut_off = record.status == "RUNNING" and is_alive_here(record.tags) is False
        state = "cut off" if cut_off else record.status.lower()
        screen.add_row(name, record.run_id, state, elbo, clock(record.seconds), standing.why())
    if not any(standing.why() for *_, standing in jobs):
        screen.columns.pop()
    console().print(screen)
    done = [(standing.run, epochs) for _, epochs, standing in jobs if standing.done]
    seconds = [run.seconds / max(1, epochs) for run, epochs in done if run is not None]
    left = [epochs for _, epochs, standing in jobs if not standing.done]
    text = f"{len(jobs) - len(left)} done, {len(left)} to do"
    if seconds and left:
        mean = sum(seconds) / len(seconds)
        text += f", about {clock(mean * sum(left))} for one worker, as the finished ones took"
    print(text)


def show_adopted(adopted: Sequence[tuple[Any, str]]) -> None:
    """Prints which runs stand for jobs whose code is another."""
    for run, code in adopted:
        print(f"adopted run {run.run_id[:8]} ({run.name}), made by other code: {code or 'unknown'}", flush=True)


def show_run(store: Any, run_id: str) -> None:
    """Prints where a single run is found."""
    print(f"run: {run_id}\nSee it in MLflow:\n  {store.ui_command()}")
