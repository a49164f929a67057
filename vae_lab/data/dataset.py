"""What every data set is, how its rows are split and pinned, and how an option of `conf/data/` becomes one.

An option's `_target_` is the `load` of a module of this package. Beside it the module may have

- `SHA256`: the pinned digest of its pixels;
- `facts(**settings)`: those facts that depend on settings or files, found without reading all pixels;
- `files(**settings)`: the files that `load` reads; where a digest is pinned those at hand, none before a download;
- `available(dir)`, where it has the setting `dir`: whether `load` will find its files without a download;
- `in_folder(dir)` and `fetch(dir)`: whether its files are in that folder, and a download to there.

None of them imports TensorFlow, but for downloads, which are Keras's.
"""

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from vae_lab.errors import UsageError

TRAIN_ROWS_SEED = 0  # of the subset that `data.train_rows` takes
NOT_OF_THE_LOADER = ("name", "_target_", "facts", "train_rows")


@dataclass(frozen=True)
class Split:
    """Rows that belong together: pixels [N,H,W,C], uint8 or, real values, float32; where known, labels [N]."""

    pixels: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> "Split":
        return Split(self.pixels[rows], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class Dataset:
    """Three splits that never overlap; pixels are the integers 0 .. levels - 1, or real values."""

    name: str
    levels: int | None  # None: real values
    sha256: str  # of all pixels as they are in the files, whatever the splits
    source: str  # where the files were found
    train: Split
    val: Split
    test: Split
    label_names: tuple[str, ...] | None = None  # what labels are called, by label; None where they are numbers

    def splits(self) -> dict[str, Split]:
        """The splits that have rows, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in named.items() if len(split)}


def hold_out(training_file: Split, rows: int, split_seed: int | None = None) -> tuple[Split, Split]:
    """The training file without its last `rows` rows, and those rows; all of them in the random order of a seed."""
    cut = len(training_file) - rows
    if split_seed is not None:
        # RandomState, because its stream is frozen: a newer numpy must not move rows from one split to another.
        order = np.random.RandomState(split_seed).permutation(len(training_file))
        labels = None if training_file.labels is None else training_file.labels[order]
        training_file = Split(training_file.pixels[order], labels)
    return training_file[:cut], training_file[cut:]


def pixels_sha256(*files: np.ndarray) -> str:
    """SHA-256 of the pixels' bytes, file after file."""
    digest = hashlib.sha256()
    for pixels in files:
        digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def require_sha256(name: str, source: str, found: str, pinned: str) -> str:
    """Returns the digest.

    Raises:
      UsageError: when the pixels are not the data set of that name.
    """
    if found != pinned:
        raise UsageError(
            f"data={name}: the pixels in {source} have SHA-256 {found[:12]}..., not {pinned[:12]}...; "
            "remove these files and get the original ones"
        )
    return found


def fewer_rows(dataset: Dataset, rows: int) -> Dataset:
    """The data set with so many of its training rows: the same ones in every run, and among those of a larger number.

    Raises:
      UsageError: when there are not so many.
    """
    if rows > len(dataset.train):
        raise UsageError(
            f"data.train_rows={rows}: data={dataset.name} has {len(dataset.train)} training rows; use as many or fewer"
        )
    chosen = np.sort(np.random.RandomState(TRAIN_ROWS_SEED).permutation(len(dataset.train))[:rows])
    labels = None if dataset.train.labels is None else dataset.train.labels[chosen]
    return replace(dataset, train=Split(dataset.train.pixels[chosen], labels))


def source_of(option: Mapping[str, Any]) -> tuple[ModuleType, dict[str, Any]]:
    """The module of a data option, and those of its settings that the module's functions take."""
    settings = {key: value for key, value in option.items() if key not in NOT_OF_THE_LOADER}
    for key, value in settings.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            settings[key] = tuple(value)
    return importlib.import_module(option["_target_"].rpartition(".")[0]), settings


def facts_of(option: Mapping[str, Any]) -> dict[str, Any]:
    """What the option's YAML states, and what its module finds out about its settings and files.

    `image_shape` [H,W,C]; `levels`; `training_rows`, with those that `validation_size` holds out of them, if it does;
    `validation_rows`, where they are no part of these; `values`, of pixels that are no integers: "unit", all in
    [0, 1], or "real".

    Raises:
      UsageError: when settings or files are not as they must be.
    """
    stated = dict(option.get("facts") or {})
    source, settings = source_of(option)
    return stated | source.facts(**settings) if hasattr(source, "facts") else stated


def load(option: Mapping[str, Any]) -> Dataset:
    """The data set of an option, with `train_rows` of its training rows; the last two stay in memory, all rows of them.

    Raises:
      UsageError: when files are missing or are not what they must be.
    """
    dataset, rows = _load(*_key(option)), option.get("train_rows")
    return dataset if rows is None else fewer_rows(dataset, rows)


def identity(option: Mapping[str, Any]) -> str:
    """`load(option).sha256`, without reading anything where it is pinned, and reading unchanged files once.

    Raises:
      UsageError: when files are missing or are not what they must be.
    """
    source, _ = source_of(option)
    return source.SHA256 if hasattr(source, "SHA256") else _identity(*_key(option))


def _key(option: Mapping[str, Any]) -> tuple:
    """What a data set depends on: where its loader is, its settings, and the state of the files that it reads."""
    source, settings = source_of(option)
    files = source.files(**settings) if hasattr(source, "files") else ()
    states = tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    return source, tuple(settings.items()), states


@lru_cache(maxsize=2)
def _load(source: ModuleType, settings: tuple, states: tuple) -> Dataset:
    given = dict(settings)
    if hasattr(source, "facts"):
        source.facts(**given)  # what cannot be read is refused by its size, not by an allocation that fails
    try:
        return source.load(**given)
    except MemoryError as error:
        name = source.__name__.rpartition(".")[2]
        raise UsageError(f"data={name} is more than this machine has memory for ({error})") from error


@lru_cache(maxsize=256)
def _identity(source: ModuleType, settings: tuple, states: tuple) -> str:
    return _load(source, settings, states).sha256
