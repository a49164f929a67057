"""The files of a run: read where they lie, or fetched from a server."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from vae_lab.tracking.records import RunRecord
from vae_lab.tracking.store import Store

FRAMES = "images"  # where MLflow's log_image puts its frames


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
        names = sorted(path.name for path in (local / FRAMES).glob("*.png"))
    else:
        names = sorted(Path(entry.path).name for entry in store.client.list_artifacts(record.run_id, FRAMES))
    latest: dict[str, tuple[int, str]] = {}
    for name in names:
        key, step = frame(name)
        if key and step >= latest.get(key, (0, ""))[0]:
            latest[key] = (step, name)
    found = {key: (step, artifact(store, record, f"{FRAMES}/{name}", folder)) for key, (step, name) in latest.items()}
    return {key: (step, path) for key, (step, path) in found.items() if path is not None}


def frame(name: str) -> tuple[str, int]:
    """Key and step of a frame's file name, which MLflow writes as key+step+10+timestamp+...; "" for other files.

    >>> frame("prior_samples+step+10+timestamp+1795237069892+1b66.png")
    ('prior_samples', 10)
    """
    parts: Sequence[str] = name.replace("%", "+").split("+")
    if name.endswith(".png") and len(parts) > 3 and parts[1] == "step" and parts[2].isdigit():
        return parts[0], int(parts[2])
    return "", 0


def log_folder(store: Store, run_id: str, folder: Path, name: str) -> None:
    """Copies a folder's files to the run's artifacts, under that name."""
    store.client.log_artifacts(run_id, str(folder), name)
