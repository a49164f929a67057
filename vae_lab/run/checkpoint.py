"""Where a run stands, on disk: written at once or not at all, and read back only if whole."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

KEPT = 2
STATE = "state.json"


class Checkpoint(NamedTuple):
    """Arrays by name, and the rest as what JSON can say."""

    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run: the last two, in a folder of their own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.damaged: list[Path] = []  # files that `latest` could not read

    def files(self) -> list[Path]:
        """The checkpoints there are, oldest first."""
        return sorted(self.folder.glob("*.npz"))

    def save(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> Path:
        """Writes a checkpoint beside the ones before, and removes all but the last two.

        The file has its name only once it is on the disk as a whole, so a run killed here keeps the one before.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        files = self.files()
        number = int(files[-1].stem) + 1 if files else 0
        path, unfinished = self.folder / f"{number:08}.npz", self.folder / f"{number:08}.{os.getpid()}.unfinished"
        text = np.frombuffer(json.dumps(dict(state)).encode(), np.uint8)
        try:
            with unfinished.open("wb") as file:
                np.savez(file, allow_pickle=False, **{STATE: text}, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        for old in self.files()[:-KEPT]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; a damaged one is passed over (zip files carry a checksum an entry)."""
        self.damaged = []
        for path in reversed(self.files()):
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                    arrays = {name: stored[name] for name in stored.files}
                return Checkpoint(arrays, json.loads(arrays.pop(STATE).tobytes()))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
                self.damaged.append(path)
        return None

    def clear(self) -> None:
        """Removes all checkpoints: the run is over."""
        for path in [*self.files(), *self.folder.glob("*.unfinished")]:
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def checkpoints_of(cfg: Any, tags: Mapping[str, str]) -> Checkpoints:
    """The checkpoints of a run on this machine, by its configuration and identity."""
    return Checkpoints(Path(cfg.paths.checkpoints) / tags["vae_lab.evaluation"])
