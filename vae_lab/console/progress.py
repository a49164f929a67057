"""What a person sees while jobs run: bars, or where no screen is a line every few seconds; one at each job's end."""

import logging
import time
from typing import Any

from vae_lab.console.bars import Bars, on_screen
from vae_lab.report.format import clock

log = logging.getLogger("vae_lab")

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Prints where a job stands: which of how many, epoch, ELBO, time left for it and for the sweep.

    Args:
      name: the run's name.
      number: the job's place in the sweep, from 0.
      total: how many jobs the sweep has.
      epochs: how many epochs the job has.
      sweep_started: when the sweep began, in seconds since 1970; None for a single run.
    """

    def __init__(self, name: str, number: int, total: int, epochs: int, sweep_started: float | None):
        width = len(str(total))
        self.head = f"[{number + 1:{width}}/{total}] {name}" if total > 1 else name
        self.number, self.total, self.epochs, self.sweep_started = number, total, epochs, sweep_started
        self.began = time.monotonic()
        self.printed = self.began
        self.first: tuple[float, float] | None = None  # time and epoch of the first report: compilation is over
        self.bars = Bars(self.head, number, total, epochs) if on_screen() else None

    def starts(self, again: bool, why: str | None = None) -> None:
        """Says that the job begins, or goes on where it was cut off; and `why`, where something like it is done."""
        log.info("%s  %s%s", self.head, "goes on" if again else "starts", f"  ({why})" if why else "")
        if self.bars is not None:
            self.bars.begin()

    def done_before(self, metrics: dict[str, float]) -> None:
        """Says that nothing is left to do."""
        log.info("%s  done before  test elbo %.2f", self.head, metrics["test/elbo"])

    def __call__(self, result: Any, metrics: dict[str, float]) -> None:
        """Takes an EpochResult and the newest metrics by name."""
        now = time.monotonic()
        if self.first is None:
            self.first = (now, result.epoch)
        if self.bars is not None:
            self.bars.look(result.epoch, elbo_as_text(result.running["elbo"], metrics))
            return
        if now - self.printed < SECONDS_BETWEEN_LINES:
            return
        self.printed = now
        log.info("%s", self.line(result.epoch, result.running["elbo"], metrics, now))

    def line(self, epoch: float, running_elbo: float, metrics: dict[str, float], now: float) -> str:
        """The line of an epoch."""
        began, first_epoch = self.first or (now, epoch)
        text = f"{self.head}  epoch {epoch:.1f}/{self.epochs}  {elbo_as_text(running_elbo, metrics)}"
        if epoch > first_epoch:
            text += f"  left {clock((self.epochs - epoch) * (now - began) / (epoch - first_epoch))}"
        if self.total > 1 and self.sweep_started is not None and (done := self.number + epoch / self.epochs) > 0.5:
            spent = time.time() - self.sweep_started
            text += f" (sweep {clock(spent * (self.total - done) / done)})"
        return text

    def finished(self, metrics: dict[str, float]) -> None:
        """Says that the job is done, and its result."""
        self.ends()
        log.info(
            "%s  done in %s  test elbo %.2f%s",
            self.head,
            clock(time.monotonic() - self.began),
            metrics["test/elbo"],
            f"  log-likelihood {metrics['test/log_likelihood']:.2f}" if "test/log_likelihood" in metrics else "",
        )

    def failed(self, error: BaseException) -> None:
        """Says that the job failed and why, or that it was stopped."""
        self.ends()
        if isinstance(error, Exception):
            log.info("%s  FAILED: %s: %s", self.head, type(error).__name__, " ".join(str(error).split())[:300])
        else:
            log.info("%s  stopped", self.head)

    def ends(self) -> None:
        """Takes the bars away, if there are any."""
        if self.bars is not None:
            self.bars.end()


def elbo_as_text(running_elbo: float, metrics: dict[str, float]) -> str:
    """The newest ELBO at fixed weights, where there are validation rows; else the epoch's own."""
    return f"val elbo {metrics['val/elbo']:.2f}" if "val/elbo" in metrics else f"elbo {running_elbo:.2f}"
