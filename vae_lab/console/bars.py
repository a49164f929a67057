"""Bars on a terminal or in a notebook: one for the job, one for the sweep. Elsewhere progress is printed in lines."""

import logging
import multiprocessing
import sys
import time
from typing import TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

SECONDS_BETWEEN_LOOKS = 0.2
LONGEST_HEAD = 36  # the rest of a line of 80 is the bar's and the numbers'


def on_screen() -> bool:
    """Whether a person looks at what this process prints, and no other process writes beside it."""
    looked_at = sys.stdout.isatty() or Console().is_jupyter
    return looked_at and multiprocessing.current_process().name == "MainProcess"


class Bars:
    """The bars of a job; lines that are logged meanwhile scroll by above them.

    Args:
      head: what the job is called.
      number: the job's place in the sweep, from 0.
      total: how many jobs the sweep has; a single one gets no bar of the sweep.
      epochs: how many epochs the job has.
      screen: the terminal, or the notebook.
    """

    def __init__(self, head: str, number: int, total: int, epochs: int, screen: Console | None = None):
        self.bars = Progress(
            TextColumn("{task.description}", table_column=Column(max_width=LONGEST_HEAD, no_wrap=True)),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[place]}", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True),
            console=screen,
            auto_refresh=False,  # a thread would draw between TensorFlow's
            transient=True,
        )
        self.number, self.total, self.epochs = number, total, epochs
        self.job: TaskID = self.bars.add_task(head, total=epochs, place="", note="")
        self.sweep: TaskID | None = None
        if total > 1:
            self.sweep = self.bars.add_task("sweep", total=total, completed=number, place=f"{number}/{total}", note="")
        self.looked = 0.0
        self.led: list[tuple[logging.StreamHandler, TextIO]] = []

    def begin(self) -> None:
        """Shows them, and leads logged lines past them."""
        printed = sys.stdout
        self.bars.start()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is printed:
                self.led.append((handler, printed))
                handler.setStream(cast(TextIO, sys.stdout))  # what rich has put in its place

    def look(self, epoch: float, note: str) -> None:
        """Takes where the job stands, and the newest value as text."""
        now = time.monotonic()
        if now - self.looked < SECONDS_BETWEEN_LOOKS:
            return
        self.looked = now
        self.bars.update(self.job, completed=epoch, place=f"epoch {epoch:.1f}/{self.epochs}", note=note)
        if self.sweep is not None:
            self.bars.update(self.sweep, completed=self.number + epoch / self.epochs)
        self.bars.refresh()

    def end(self) -> None:
        """Takes them away."""
        self.bars.stop()
        for handler, stream in self.led:
            handler.setStream(stream)
        self.led.clear()
