"""What a run keeps of its own: files that are not sent yet, frames that its end needs, and what took long to find."""

import shutil
import tempfile
import weakref
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from vae_lab.tracking import frame_names

WAITING, FRAMES, FOUND = "files", "frames", "found"


class KeptFiles:
    """A run's files on this machine.

    Args:
      folder: where they lie, for another process to go on with; without one in a folder that ends with this object.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder or Path(tempfile.mkdtemp(prefix="vae_lab-"))
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, artifact: str) -> Path:
        """Where a file lies until it is sent."""
        return self.folder / WAITING / artifact

    def write(self, content: bytes, artifact: str) -> None:
        """Writes a file that is to be sent, as a whole or not at all; a frame also to stay."""
        places = [self.path(artifact)]
        if frame_names.parse(places[0].name):
            places.append(self.folder / FRAMES / places[0].name)
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            unfinished = place.with_name(f".{place.name}")
            unfinished.write_bytes(content)
            unfinished.replace(place)

    def sent(self, artifact: str) -> None:
        """Forgets a file that has arrived."""
        self.path(artifact).unlink(missing_ok=True)

    def waiting(self) -> list[str]:
        """The files that are not sent yet, oldest first."""
        folder = self.folder / WAITING
        there = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return [str(path.relative_to(folder)) for path in sorted(there, key=lambda path: path.stat().st_mtime_ns)]

    def frames(self) -> list[Path]:
        """The frames that were logged, sent or not."""
        return sorted((self.folder / FRAMES).glob("*.png"))


class FoundValues(dict[str, dict[str, np.ndarray]]):
    """Arrays that took long to find, by the name of what they are, for a run that goes on after it was killed.

    Args:
      folder: the run's, named by its id: the same run finds the same values.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder / FOUND
        for path in self.folder.glob("[!.]*.npz"):
            with (
                suppress(OSError, ValueError, EOFError, zipfile.BadZipFile),
                np.load(path, allow_pickle=False) as stored,
            ):
                super().__setitem__(path.stem, dict(stored))

    def __setitem__(self, name: str, values: dict[str, np.ndarray]) -> None:
        """Writes them as a whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f".{name}.npz"
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **values)
        unfinished.replace(self.folder / f"{name}.npz")
        super().__setitem__(name, values)


def forget(folder: Path) -> None:
    """Removes what a run has kept in a folder: it is over."""
    for name in (WAITING, FRAMES, FOUND):
        shutil.rmtree(folder / name, ignore_errors=True)
