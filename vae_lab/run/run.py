"""One run: train, then evaluate; every number, picture and weight of it in MLflow."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_lab.config import compose
from vae_lab.data.dataset import Dataset
from vae_lab.errors import Pruned, UsageError
from vae_lab.run.checkpoint import checkpoints_of
from vae_lab.run.conclude import conclude, final_metrics
from vae_lab.run.fit import OnProgress, fit, put_selected_weights
from vae_lab.run.program import Pixels, Program, binarize, load_dataset, new_program, program_for
from vae_lab.study.identity import hashes_of
from vae_lab.tracking.artifacts import CONFIG, WEIGHTS
from vae_lab.tracking.environment import provenance
from vae_lab.tracking.records import RunRecord, fetch_artifact, read_run
from vae_lab.tracking.store import Store, open_store
from vae_lab.tracking.tracked_run import TrackedRun


def store_of(cfg: Any) -> Store:
    """The MLflow store of a configuration."""
    return open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)


def run(
    cfg: Any, name: str, tags: dict[str, str], on_progress: OnProgress, run_id: str | None = None
) -> dict[str, float]:
    """Trains and evaluates one model, as a run of the configuration's MLflow store.

    Args:
      cfg: a checked configuration.
      name: the MLflow run's name.
      tags: tags beside those that every run has.
      on_progress: called after each group of steps.
      run_id: an unfinished run of the same hashes, to go on with from its last checkpoint.

    Returns:
      The metrics at the selected weights.
    """
    store, tags = store_of(cfg), tags | hashes_of(compose.plain(cfg))
    checkpoints = checkpoints_of(cfg, tags)
    if run_id is None:
        checkpoints.clear()
    with TrackedRun(store, name, provenance() | tags, cfg.sweep.parent, run_id) as record:
        log_setting(cfg, record)
        dataset, pixels, program = prepared(cfg, record)
        try:
            state = fit(cfg, program, pixels, record, checkpoints, on_progress)
            if not state.metrics:
                state.metrics = conclude(cfg, program, dataset, pixels, record, state.selected)
                log_weights(program.model, record)
                record.tag({"vae_lab.epoch": str(state.selected)})
                if record.delivered:  # else it concludes anew when it goes on
                    state.save(checkpoints, program, record)
        except Pruned:
            checkpoints.clear()
            record.tag({"vae_lab.pruned": "true"})
            raise
        except BaseException as error:
            # A run that will go on takes these rows anew, at other times: written now, they would be there twice.
            if checkpoints.files() or not isinstance(error, Exception):
                record.waiting.clear()
            raise
    checkpoints.clear()
    return state.metrics


def evaluate_again(
    cfg: Any, name: str, tags: dict[str, str], trained: RunRecord, run_id: str | None = None
) -> dict[str, float]:
    """Evaluates the weights of a finished run of the same training, as a run of its own.

    Args:
      cfg, name, tags: as of `run`.
      trained: the run whose weights are taken.
      run_id: an evaluation that was cut off, to do anew inside the same run.
    """
    store, tags = store_of(cfg), tags | hashes_of(compose.plain(cfg))
    tags |= {"vae_lab.trained_by": trained.trained_by, "vae_lab.epoch": trained.tags["vae_lab.epoch"]}
    with TrackedRun(store, name, provenance() | tags, cfg.sweep.parent, run_id) as record:
        try:
            log_setting(cfg, record)
            dataset, pixels, program = prepared(cfg, record)
            with tempfile.TemporaryDirectory() as folder:
                program.model.load_weights(fetch_artifact(store, trained.run_id, WEIGHTS, folder))
            metrics = conclude(cfg, program, dataset, pixels, record, int(tags["vae_lab.epoch"]))
            log_weights(program.model, record)
        except (KeyboardInterrupt, SystemExit):
            record.waiting.clear()  # the next start takes these rows anew, at other times
            raise
    return metrics


def log_setting(cfg: Any, record: TrackedRun) -> None:
    """Logs the configuration: whole as a file, and as parameters, where an option's name stands for its class."""
    described = compose.plain(cfg)
    params = compose.flat({key: described[key] for key in described if key not in compose.NOT_OF_THE_MODEL})
    by_name = {f"{key.removesuffix('name')}_target_" for key in params if key.endswith(".name")}
    record.params({key: value for key, value in params.items() if key not in by_name})
    record.text(compose.to_yaml(cfg), CONFIG)


def prepared(cfg: Any, record: TrackedRun) -> tuple[Dataset, Pixels, Program]:
    """Loads and logs the data, and gives them with the program of the configuration."""
    dataset = load_dataset(cfg)
    record.dataset(dataset.name, dataset.sha256, dataset.source)
    record.tag({"vae_lab.data_sha256": dataset.sha256})
    binarization = compose.make_binarization(cfg)
    pixels = binarize(dataset, binarization)
    return dataset, pixels, program_for(cfg, pixels, binarization)


def log_weights(model: Any, record: TrackedRun) -> None:
    """Logs the model's present weights, by which `load_run` brings it back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(WEIGHTS).name
        model.save_weights(path)
        record.file(path, str(Path(WEIGHTS).parent))


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A run brought back: its configuration, data and trained model.

    Attributes:
      record: the run in MLflow.
      epoch: how many epochs its weights were trained.
    """

    record: RunRecord
    epoch: int
    cfg: Any
    dataset: Dataset
    pixels: Pixels
    program: Program

    def __repr__(self) -> str:
        return f"LoadedRun({self.record.run_id}, {self.record.name})"

    @property
    def model(self) -> Any:
        """The VAE at the run's selected weights."""
        return self.program.model

    def metrics(self) -> dict[str, float]:
        """The run's final metrics, computed again from its weights."""
        return final_metrics(self.cfg, self.program, self.pixels)[0]


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
        checkpoint = None if record.status == "FINISHED" else checkpoints_of(cfg, record.tags).latest()
        weights = fetch_artifact(store, run_id, WEIGHTS, folder) if checkpoint is None else None
        dataset = load_dataset(cfg)
        if dataset.sha256 != (trained_on := record.tags["vae_lab.data_sha256"]):
            raise UsageError(
                f"run={run_id} was trained on pixels with SHA-256 {trained_on[:12]}..., and "
                f"data={cfg.data.name} now has {dataset.sha256[:12]}..."
            )
        binarization = compose.make_binarization(cfg)
        pixels = binarize(dataset, binarization)
        program = new_program(cfg, pixels, binarization)
        if checkpoint is None:
            program.model.load_weights(weights)
            epoch = int(record.tags["vae_lab.epoch"])
        else:
            epoch = put_selected_weights(checkpoint, program.model)
    return LoadedRun(record, epoch, cfg, dataset, pixels, program)
