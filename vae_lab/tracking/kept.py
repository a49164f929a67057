"""What a run keeps of its own files: those that are not sent yet, and the frames that its end needs."""

import shutil
import tempfile
import weakref
from pathlib import Path

from vae_lab.tracking import frame_names

WAITING, FRAMES = "files", "frames"


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


def forget(folder: Path) -> None:
    """Removes what a run has kept in a folder: it is over."""
    for name in (WAITING, FRAMES):
        shutil.rmtree(folder / name, ignore_errors=True)
