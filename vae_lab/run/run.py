"""What stands while a run goes on."""

from dataclasses import dataclass
from typing import Any

from vae_lab.config.settings import Settings
from vae_lab.data.images import RunImages
from vae_lab.run.checkpoint import Checkpoints
from vae_lab.run.program import Program
from vae_lab.tracking.tracked_run import TrackedRun


@dataclass(frozen=True)
class Run:
    """A run's standing things: what it was asked, what it works on, and where it writes."""

    settings: Settings
    images: RunImages
    program: Program
    record: TrackedRun
    checkpoints: Checkpoints

    @property
    def model(self) -> Any:
        """The VAE."""
        return self.program.model
