"""A run that is to be made."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_lab.config.settings import Settings
from vae_lab.run.checkpoint import Checkpoints, checkpoints_of
from vae_lab.run.device import device_tags
from vae_lab.study.identity import Identity
from vae_lab.tracking.environment import environment
from vae_lab.tracking.store import Store
from vae_lab.tracking.tracked_run import TrackedRun


@dataclass(frozen=True)
class Order:
    """What a run is, and where it goes.

    Attributes:
      settings, identity: what it is.
      name, tags: of the MLflow run; the tags beside those that every run has.
      config: the configuration as YAML, which becomes an artifact.
      params: it again, by dotted keys.
      store: where the run goes.
      parent: id of the sweep's run.
      checkpoints: folder of all checkpoints of this machine.
    """

    settings: Settings
    identity: Identity
    name: str
    tags: Mapping[str, str]
    config: str
    params: Mapping[str, Any]
    store: Store
    parent: str | None
    checkpoints: Path

    def checkpoints_of(self, run_id: str) -> Checkpoints:
        """The checkpoints of a run of this training on this machine."""
        return checkpoints_of(self.checkpoints, self.store.uri, run_id, self.identity.training)

    def open(self, run_id: str | None, **more: str) -> TrackedRun:
        """The MLflow run: a new one, or an unfinished one to go on with. TensorFlow says on what it computes."""
        tags = {**environment(), **device_tags(self.settings), **self.tags, **self.identity.tags(), **more}
        return TrackedRun(self.store, self.name, tags, self.parent, run_id)
