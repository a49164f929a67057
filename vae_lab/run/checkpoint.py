"""Where a run stands, on disk: written at once or not at all, and read back only if whole."""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_lab.errors import UsageError
from vae_lab.tracking.away import is_full
from vae_lab.tracking.kept import forget

KEPT = 2
STATE = "state.json"
FORMAT = 3  # of the files; raise it when what they hold changes


class Checkpoint(NamedTuple):
    """Arrays by name, and the rest as what JSON can say."""

    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run: the last two, in a folder of their own.

    Args:
      folder: the run's, named by its id; a checkpoint that holds another id is not gone on from.
      training: identity of its training; a checkpoint of another is not gone on from.
    """

    def __init__(self, folder: Path, training: str):
        self.folder = folder
        self.training = training
        self.damaged: list[Path] = []  # files that `latest` could not read
        self.refused: list[str] = []  # why it passed others over, in words

    def files(self) -> list[Path]:
        """The checkpoints there are, oldest first."""
        return sorted(self.folder.glob("*.npz"))

    def save(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> Path:
        """Writes a checkpoint beside the ones before, and removes all but the last two.

        The file has its name only once it is on the disk as a whole, so a run killed here keeps the one before.

        Raises:
          UsageError: when the disk is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        files = self.files()
        number = int(files[-1].stem) + 1 if files else 0
        path, unfinished = self.folder / f"{number:08}.npz", self.folder / f"{number:08}.{os.getpid()}.unfinished"
        stamped = {**state, "format": FORMAT, "training": self.training}
        text = np.frombuffer(json.dumps(stamped).encode(), np.uint8)
        try:
            with unfinished.open("wb") as file:
                np.savez(file, allow_pickle=False, **{STATE: text}, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except OSError as error:
            if not is_full(error):
                raise
            raise UsageError(
                f"no space is left in {self.folder} for a checkpoint ({error}); the one before is kept: make room and "
                "repeat the command"
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)
        for old in self.files()[:-KEPT]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; a damaged one is passed over (zip files carry a checksum an entry).

        One of another training or of another format is set aside under another name, and kept.
        """
        self.damaged, self.refused = [], []
        for path in reversed(self.files()):
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                    arrays = {name: stored[name] for name in stored.files}
                checkpoint = Checkpoint(arrays, json.loads(arrays.pop(STATE).tobytes()))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
                self.damaged.append(path)
                continue
            if (why := self.why_not(checkpoint)) is None:
                return checkpoint
            kept = path.rename(path.with_suffix(".refused"))
            self.refused.append(f"checkpoint {kept} is {why}; it is kept, and not gone on from")
        return None

    def why_not(self, checkpoint: Checkpoint) -> str | None:
        """Why the run cannot go on from a checkpoint; None where it can."""
        if checkpoint.state.get("format") != FORMAT:
            return f"of format {checkpoint.state.get('format', 1)} and not {FORMAT}"
        if checkpoint.state["training"] != self.training:
            return "of other code, settings or data"
        if (run_id := checkpoint.state.get("run_id", self.folder.name)) != self.folder.name:
            return f"of another run, {run_id}"
        return None

    def clear(self) -> None:
        """Removes all checkpoints: there is nothing to go on from."""
        for path in [*self.files(), *self.folder.glob("*.unfinished")]:
            path.unlink(missing_ok=True)
        for folder in (self.folder, self.folder.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def end(self) -> None:
        """Removes the checkpoints and what the run has kept beside them: it is over."""
        forget(self.folder)
        self.clear()


def checkpoints_of(folder: Path, database: str, run_id: str, training: str) -> Checkpoints:
    """The checkpoints of a run on this machine.

    Args:
      folder: of all checkpoints.
      database: address of the store; a place beside the checkpoints counts as seen from there, so that both can move.
      run_id, training: of the run.
    """
    place = database.removeprefix("sqlite:///")
    if place != database:
        place = os.path.relpath(Path(place).expanduser().resolve(), folder.resolve())
    return Checkpoints(folder / hashlib.sha256(place.encode()).hexdigest()[:8] / run_id, training)
