"""How far one run is, as a bar that a notebook shows, too."""

from types import TracebackType
from typing import Any

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from vae_lab.console.progress import Progress


class NotebookBar:
    """A bar from the first report of a run to the end of the `with` block; where the run draws its own, none."""

    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[elbo]}")
        self._bar = Bar(*columns, TimeRemainingColumn())

    def __enter__(self) -> "NotebookBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def reporting(self, sweep: Any, epochs: int, progress: Progress) -> Any:
        """What is called with an EpochResult and the newest metrics by name."""
        if getattr(progress, "bars", None) is not None:
            return progress
        self._bar.start()
        task = self._bar.add_task(progress.head, total=epochs, elbo="")

        def look(result: Any, metrics: dict[str, float]) -> None:
            elbo = metrics.get("val/elbo", result.running["elbo"])
            self._bar.update(task, completed=result.epoch, elbo=f"elbo {elbo:.2f}")

        return look
