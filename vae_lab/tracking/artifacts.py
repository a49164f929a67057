"""The files of a run: read where they lie, or fetched from a server."""

import tempfile
from functools import partial
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np

from vae_lab.errors import UsageError
from vae_lab.study.identity import Identity
from vae_lab.tracking import frame_names
from vae_lab.tracking.away import patiently
from vae_lab.tracking.records import RunRecord, read_run
from vae_lab.tracking.store import Store
from vae_lab.tracking.tracked_run import TrackedRun

CONFIG = "config.yaml"
IDENTITY = "identity.json"
PLANNED_CODE = "code.json"  # of a sweep: by file, the digests of the code that it was planned with
WEIGHTS = "model/model.weights.h5"


def local_folder(record: RunRecord) -> Path | None:
    """The run's artifact folder where it is a folder of this machine, which is read without asking MLflow."""
    place = urlparse(record.artifacts)
    return Path(url2pathname(place.path)) if place.scheme in ("", "file") else None


def inside(folder: Path, name: str) -> Path:
    """A place in a folder.

    Raises:
      UsageError: where the name, or a link that it names, leads out of it.
    """
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"{name} leads out of {folder}; a run's files are its own, and this one is not read")
    return folder / name


def fetch_artifact(store: Store, run_id: str, name: str, folder: str) -> Path:
    """A file of a run, as `artifact` gives it.

    Raises:
      UsageError: when the run has no such file.
    """
    record = read_run(store, run_id)
    if (path := artifact(store, record, name, Path(folder))) is None:
        sweep = record.tags.get("vae_lab.kind") == "sweep"
        kind = "a sweep, whose jobs are runs" if sweep else f"a {record.status} run"
        raise UsageError(f"run={run_id} has no artifact {name}: it is {kind}; name a FINISHED run")
    return path


def artifact(store: Store, record: RunRecord, name: str, folder: Path) -> Path | None:
    """A file of a run, fetched into the folder if it is not on this machine; None where the run has no such file.

    Raises:
      UsageError: where the file, by its name or by a link, or the run's id leads out of the folder it belongs to.
    """
    local = local_folder(record)
    if local is not None:
        return path if (path := inside(local, name)).is_file() else None
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    place = inside(inside(folder, record.run_id), name).parent
    # By its address: asked for by the run's id, MLflow looks up the run, and models of it, for each file.
    request = partial(download_artifacts, f"{record.artifacts}/{name}", dst_path=str(place), tracking_uri=store.uri)
    try:
        return Path(patiently(store.at_once, request))
    except (MlflowException, OSError):
        return None


def last_frames(store: Store, record: RunRecord, folder: Path) -> dict[str, tuple[int, Path]]:
    """The frames of the latest step that log_image wrote: by key, their step and their PNG."""
    latest: dict[str, tuple[int, str]] = {}
    for name in frame_files(store, record):
        if (frame := frame_names.parse(name)) and frame.step >= latest.get(frame.key, (0, ""))[0]:
            latest[frame.key] = (frame.step, name)
    found = {
        key: (step, artifact(store, record, f"{frame_names.FOLDER}/{name}", folder))
        for key, (step, name) in latest.items()
    }
    return {key: (step, path) for key, (step, path) in found.items() if path is not None}


def identity_of_run(store: Store, record: RunRecord, folder: Path) -> Identity | None:
    """What a run's numbers are the result of; None of a run that kept no such record, or one of another form."""
    path = artifact(store, record, IDENTITY, folder)
    try:
        return None if path is None else Identity.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return None


def frame_files(store: Store, record: RunRecord) -> list[str]:
    """The names of a run's frames."""
    local = local_folder(record)
    if local is not None:
        return sorted(path.name for path in (local / frame_names.FOLDER).glob("*.png"))
    there = store.client.list_artifacts(record.run_id, frame_names.FOLDER)
    return sorted(Path(entry.path).name for entry in there)


def log_frames_of(store: Store, record: RunRecord, target: TrackedRun, last: int) -> None:
    """Logs a run's frames up to a step to another run."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        for name in frame_files(store, record):
            frame = frame_names.parse(name)
            path = artifact(store, record, f"{frame_names.FOLDER}/{name}", Path(folder))
            if frame and path and frame.step <= last:
                target.image(frame.key, np.asarray(Image.open(path).convert("RGB")), frame.step)


def log_folder(store: Store, run_id: str, folder: Path, name: str) -> None:
    """Copies a folder's files to the run's artifacts, under that name."""
    store.client.log_artifacts(run_id, str(folder), name)
