"""The values of each image that runs left."""

import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vae_lab.report.comparison import PerImage
from vae_lab.tracking.artifacts import artifact, local_folder
from vae_lab.tracking.records import RunRecord
from vae_lab.tracking.store import Store

FETCHED_AT_ONCE = 8


def per_image_values(store: Store, metric: str, folder: Path, ahead: Sequence[RunRecord] = ()) -> PerImage:
    """Reads a metric's values by image from a run's artifact of its split, each run's once.

    Args:
      store: where the runs are.
      metric: split/name.
      folder: for what is fetched from a server.
      ahead: runs whose values will be asked for: those that a server has are fetched now, several at once.
    """
    split, _, quantity = metric.partition("/")
    known: dict[str, np.ndarray | None] = {}

    def read(record: RunRecord) -> np.ndarray | None:
        path = artifact(store, record, f"evaluation/{split}.npz", folder)
        if path is None:
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return arrays[quantity].astype(np.float64) if quantity in arrays else None
        except (OSError, ValueError, zipfile.BadZipFile):
            return None  # not an npz: the comparison goes without

    def read_once(record: RunRecord) -> np.ndarray | None:
        if record.run_id not in known:
            known[record.run_id] = read(record)
        return known[record.run_id]

    there = [record for record in ahead if local_folder(record) is None]
    with ThreadPoolExecutor(FETCHED_AT_ONCE) as fetching:
        known |= zip((record.run_id for record in there), fetching.map(read, there), strict=True)
    return read_once
