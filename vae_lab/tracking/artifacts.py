"""The files of a run: read where they lie, or fetched from a server."""

import shutil
import tempfile
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


def fetch_artifact(store: Store, run_id: str, artifact: str, folder: str) -> Path:
    """Copies an artifact (a file) of a run into a folder.

    Raises:
      UsageError: when the run has no such artifact.
    """
    from mlflow.exceptions import MlflowException

    record = read_run(store, run_id)
    try:
        local = local_folder(record)
        if local is not None:
            return Path(shutil.copy2(inside(local, artifact), folder))
        return download(store, record, artifact, Path(folder))
    except (MlflowException, OSError) as error:
        kind = (
            "a sweep, whose jobs are runs" if record.tags.get("vae_lab.kind") == "sweep" else f"a {record.status} run"
        )
        raise UsageError(f"run={run_id} has no artifact {artifact}: it is {kind}; name a FINISHED run") from error


def download(store: Store, record: RunRecord, name: str, folder: Path) -> Path:
    """A file of a run, fetched from the server into a folder, or a folder of its.

    By the address that the record has: by the run's id MLflow asks for the run, and for models, each time.

    Raises:
      MlflowException or OSError: where there is none.
    """
    from mlflow.artifacts import download_artifacts

    place, uri = (folder / name).parent, f"{record.artifacts}/{name}"
    return Path(
        patiently(
            store.at_once, lambda: download_artifacts(artifact_uri=uri, dst_path=str(place), tracking_uri=store.uri)
        )
    )


def artifact(store: Store, record: RunRecord, name: str, folder: Path) -> Path | None:
    """A file of a run, fetched into the folder if it is not on this machine; None where the run has no such file.

    Raises:
      UsageError: where the file, by its name or by a link, or the run's id leads out of the folder it belongs to.
    """
    local = local_folder(record)
    if local is not None:
        return path if (path := inside(local, name)).is_file() else None
    from mlflow.exceptions import MlflowException

    target = inside(folder, record.run_id)
    inside(target, name)
    target.mkdir(parents=True, exist_ok=True)
    try:
        return download(store, record, name, target)
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
