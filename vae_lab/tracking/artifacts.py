"""The files of a run: read where they lie, or fetched from a server."""

from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from vae_lab.tracking import frame_names
from vae_lab.tracking.records import RunRecord
from vae_lab.tracking.store import Store

CONFIG = "config.yaml"
WEIGHTS = "model/model.weights.h5"


def local_folder(record: RunRecord) -> Path | None:
    """The run's artifact folder where it is a folder of this machine, which is read without asking MLflow."""
    place = urlparse(record.artifacts)
    return Path(url2pathname(place.path)) if place.scheme in ("", "file") else None


def artifact(store: Store, record: RunRecord, name: str, folder: Path) -> Path | None:
    """A file of a run, fetched into the folder if it is not on this machine; None where the run has no such file."""
    local = local_folder(record)
    if local is not None:
        return local / name if (local / name).is_file() else None
    from mlflow.exceptions import MlflowException

    target = folder / record.run_id
    target.mkdir(parents=True, exist_ok=True)
    try:
        return Path(store.client.download_artifacts(record.run_id, name, str(target)))
    except (MlflowException, OSError):
        return None


def last_frames(store: Store, record: RunRecord, folder: Path) -> dict[str, tuple[int, Path]]:
    """The frames of the latest step that log_image wrote: by key, their step and their PNG."""
    local = local_folder(record)
    if local is not None:
        names = sorted(path.name for path in (local / frame_names.FOLDER).glob("*.png"))
    else:
        names = sorted(
            Path(entry.path).name for entry in store.client.list_artifacts(record.run_id, frame_names.FOLDER)
        )
    latest: dict[str, tuple[int, str]] = {}
    for name in names:
        if (frame := frame_names.parse(name)) and frame.step >= latest.get(frame.key, (0, ""))[0]:
            latest[frame.key] = (frame.step, name)
    found = {
        key: (step, artifact(store, record, f"{frame_names.FOLDER}/{name}", folder))
        for key, (step, name) in latest.items()
    }
    return {key: (step, path) for key, (step, path) in found.items() if path is not None}


def log_folder(store: Store, run_id: str, folder: Path, name: str) -> None:
    """Copies a folder's files to the run's artifacts, under that name."""
    store.client.log_artifacts(run_id, str(folder), name)
