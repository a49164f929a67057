"""A run brought back from MLflow."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_lab.config import compose
from vae_lab.config.settings import Settings, settings_of
from vae_lab.data.images import RunImages
from vae_lab.errors import UsageError
from vae_lab.evaluation.final import final_metrics
from vae_lab.run.checkpoint import checkpoints_of
from vae_lab.run.fit import put_selected_weights
from vae_lab.run.program import Program, images_of, new_program
from vae_lab.study.identity import differences, identity_of
from vae_lab.tracking.artifacts import CONFIG, WEIGHTS, fetch_artifact, identity_of_run
from vae_lab.tracking.records import RunRecord, read_run
from vae_lab.tracking.store import open_store


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A run brought back: its settings, data and trained model.

    Attributes:
      record: the run in MLflow.
      epoch: how many epochs its weights were trained.
      changed: in what code, settings and data are not those that it was made with, in words.
    """

    record: RunRecord
    epoch: int
    settings: Settings
    images: RunImages
    program: Program
    changed: list[str]

    def __repr__(self) -> str:
        return f"LoadedRun({self.record.run_id}, {self.record.name})"

    @property
    def model(self) -> Any:
        """The VAE at the run's selected weights."""
        return self.program.model

    def metrics(self) -> dict[str, float]:
        """The run's final metrics, computed again from its weights."""
        return final_metrics(self.program, self.images, self.settings)[0]


def load_run(run_id: str, *overrides: str, tracking_uri: str | None = None) -> LoadedRun:
    """Brings a run back from MLflow: a finished one with the weights it kept, another with its last checkpoint's.

    Args:
      run_id: the MLflow run.
      *overrides: changes of its configuration that leave the model as it is, such as
        "evaluation.importance_samples=5000", "data.dir=/data" or "data.path=/data/own.npz".
      tracking_uri: where it was logged; the default store otherwise.

    Raises:
      UsageError: when there is no such run, it has neither weights nor a checkpoint on this machine, or its data are
        not those it was trained on.
    """
    store = open_store(tracking_uri or compose.default_tracking_uri())
    record = read_run(store, run_id)
    with tempfile.TemporaryDirectory() as folder:
        cfg = compose.evaluation_of(fetch_artifact(store, run_id, CONFIG, folder).read_text(), overrides)
        settings = settings_of(cfg)
        identity, checkpoint = identity_of(settings), None
        if record.status != "FINISHED":
            place = Path(compose.compose_unchecked().paths.checkpoints)
            checkpoints = checkpoints_of(place, store.uri, run_id, record.tags["vae_lab.training"])
            checkpoint = checkpoints.latest()
        weights = fetch_artifact(store, run_id, WEIGHTS, folder) if checkpoint is None else None
        if identity.data != (trained_on := record.tags["vae_lab.data_sha256"]):
            raise UsageError(
                f"run={run_id} was trained on pixels with SHA-256 {trained_on[:12]}..., and "
                f"data={cfg.data.name} now has {identity.data[:12]}..."
            )
        before = identity_of_run(store, record, Path(folder))
        images = images_of(settings)
        program = new_program(settings, images)
        if checkpoint is None:
            program.model.load_weights(weights)
            epoch = int(record.tags["vae_lab.epoch"])
        else:
            epoch = put_selected_weights(checkpoint, program.model)
    return LoadedRun(record, epoch, settings, images, program, differences(before, identity) if before else [])
