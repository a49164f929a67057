"""Frey faces: 1,965 frames of 28 x 20 pixels and 256 grey levels, of a video of Brendan Frey's face."""

from pathlib import Path
from typing import Any

import numpy as np

from vae_lab.data import npz
from vae_lab.data.dataset import Dataset, Split, hold_out, pixels_sha256, require_sha256
from vae_lab.data.matlab import read_mat
from vae_lab.errors import UsageError

SHA256 = "2438ba4f0d2a6bd8bac43de756141eaa33c8d248dd613d464bdb1210d9b7af78"
ROWS, TEST_ROWS = 1965, 200
ROWEIS, ARCHIVE = "frey_rawface.mat", "freyfaces.npz"


def local_file(dir: str | None) -> Path | None:
    """The npz or Roweis's MATLAB file in `dir`/freyfaces."""
    if dir is None:
        return None
    candidates = [Path(dir).expanduser() / "freyfaces" / name for name in (ARCHIVE, ROWEIS)]
    return next((path for path in candidates if path.is_file()), None)


def files(dir: str | None, **settings: Any) -> list[Path]:
    """The file, where it is there."""
    path = local_file(dir)
    return [] if path is None else [path]


def available(dir: str | None) -> bool:
    """Whether one of the files is there; none can be downloaded."""
    return local_file(dir) is not None


def read(path: Path) -> np.ndarray:
    """uint8 [1965,28,20], from either file."""
    if path.name == ROWEIS:
        return read_mat(path, {"ff": (560, ROWS)})["ff"].T.reshape(ROWS, 28, 20)
    pixels = npz.read(path, "images", "get it again")
    if pixels.shape != (ROWS, 28, 20):
        raise UsageError(f"{path} holds images of shape {list(pixels.shape)}; they must be [{ROWS},28,20]")
    return pixels


def load(dir: str | None, validation_size: int, split_seed: int | None) -> Dataset:
    """Loads the frames: 200 for tests, `validation_size` for validation, the others for training.

    Neighbouring frames look alike, so splits at random score better than those by time.

    Args:
      dir: folder that holds freyfaces/.
      validation_size: rows held out beside the test rows.
      split_seed: of the random order; None keeps the video's, whose end is held out.

    Raises:
      UsageError: when there is no file, or not the frames of that video in it.
    """
    path = local_file(dir)
    if path is None:
        raise UsageError(
            f"data=freyfaces: no file in data.dir={dir}, and there is no download.\n"
            f"Put {ROWEIS} (from Sam Roweis's page), or {ARCHIVE} with its frames as uint8 images [1965,28,20], into "
            f"{dir or '<data.dir>'}/freyfaces."
        )
    pixels = read(path)
    digest = require_sha256("freyfaces", str(path), pixels_sha256(pixels), SHA256)
    rest, test = hold_out(Split(pixels[..., None]), TEST_ROWS, split_seed)
    train, val = hold_out(rest, validation_size)
    return Dataset("freyfaces", 256, digest, str(path), train, val, test)
