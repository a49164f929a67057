"""Which images a folder of a user's own holds: their splits, their labels, and what is no image of them."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vae_lab.errors import UsageError

READ = re.compile(r"\.(a?png|jpe?g|jpe|jfif|webp|bmp|dib|gif|tiff?|p[bgpn]m|tga|pcx|qoi|avif)", re.IGNORECASE)
# Images by their names, of kinds that Pillow does not read, or not as pixels of 8 bits.
NOT_READ = re.compile(
    r"\.(hei[cf]|jxl|svgz?|e?ps|[we]mf|psd|xcf|ai|ico|icns|cur|jp2|jpf|jpx|jpc|j2[ck]|jxr|exr|hdr|pfm|fits?|dcm|nii|"
    r"dng|cr[23]|nef|arw|orf|raf|rw2|raw|avifs|dds|sgi|rgb|ras)",
    re.IGNORECASE,
)
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Images:
    """The images of one split, in natural order, and the folder in which its labels, if any, are sub-folders."""

    base: Path
    files: tuple[Path, ...]

    def labels(self) -> list[str] | None:
        """The name of each image's sub-folder, or None where there are none."""
        return None if self.files[0].parent == self.base else [file.parent.name for file in self.files]


def natural(name: str) -> tuple:
    """A key by which names sort with their numbers as numbers: 2 before 10."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def label_names(splits: Iterable[Images]) -> tuple[str, ...] | None:
    """The names of all sub-folders in natural order, so that a label is its name's place; None without sub-folders."""
    found = {name for split in splits for name in split.labels() or ()}
    return tuple(sorted(found, key=natural)) or None


_known: dict[Path, tuple[dict[Path, int], dict[str, Images]]] = {}


def images_of(folder: Path) -> dict[str, Images]:
    """The images by split: "train" and, where the folder has them apart, "val" and "test".

    Images lie in the folder, or in a sub-folder for each label; or so in each of its sub-folders train, val and test.
    Hidden files and folders are passed over, and so is what is no image by its name.

    Raises:
      UsageError: when there are none, some cannot be read, or they lie otherwise.
    """
    changed, splits = _known.get(folder, ({}, {}))
    if not changed or any(_changed(place) != when for place, when in changed.items()):
        changed, found = _walk(folder)
        splits = _by_split(folder, found)
        _known[folder] = changed, splits
    return splits


def is_image(name: str) -> bool:
    """Whether a file says by its name that it is an image."""
    suffix = Path(name).suffix
    return bool(READ.fullmatch(suffix) or NOT_READ.fullmatch(suffix))


def _changed(place: Path) -> int | None:
    """When files last came to a folder or went from it."""
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return None


def _walk(folder: Path) -> tuple[dict[Path, int], list[Path]]:
    """Each folder with its time of change, and all images below, folder after folder in natural order."""
    changed: dict[Path, int] = {}
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()

    def visit(place: Path) -> None:
        state = place.stat()
        if (state.st_dev, state.st_ino) in seen:  # a link back to a folder above
            return
        seen.add((state.st_dev, state.st_ino))
        changed[place] = state.st_mtime_ns
        with os.scandir(place) as listing:
            entries = sorted((entry for entry in listing if entry.name[0] != "."), key=lambda e: natural(e.name))
        named = [entry for entry in entries if is_image(entry.name) and entry.is_file()]
        found.extend(place / entry.name for entry in named)
        for entry in entries:
            if entry.is_dir():
                visit(place / entry.name)

    try:
        visit(folder)
    except OSError as error:
        raise UsageError(f"data.path={folder} cannot be listed ({error})") from error
    return changed, found


def _by_split(folder: Path, found: Sequence[Path]) -> dict[str, Images]:
    if unread := [file for file in found if not READ.fullmatch(file.suffix)]:
        raise UsageError(
            f"{unread[0]} is an image of a kind that is not read, one of {len(unread)} such in data.path={folder}; "
            "convert them to PNG, or move them away"
        )
    if not found:
        raise UsageError(f"data.path={folder} holds no images, nor do its sub-folders")
    tops = list(dict.fromkeys(file.relative_to(folder).parts[0] for file in found if file.parent != folder))
    splits = {top: SPLITS[top.lower()] for top in tops if top.lower() in SPLITS}
    others = [top for top in tops if top not in splits]
    if not splits or (others and len(splits) == 1):  # a label may be named as a split is
        return {"train": _images(folder, found)}
    listed = ", ".join(splits)
    if others:
        raise UsageError(
            f"data.path={folder} holds {others[0]} beside the splits {listed}; move it away, or into one of them"
        )
    if "train" not in splits.values() or len(set(splits.values())) < len(splits):
        raise UsageError(
            f"data.path={folder} holds the splits {listed}; there must be one train, and at most one val and one test"
        )
    if beside := [file for file in found if file.parent == folder]:
        raise UsageError(f"data.path={folder} holds {beside[0].name} beside the splits {listed}; move it into one")
    return {
        split: _images(folder / top, [file for file in found if file.is_relative_to(folder / top)])
        for top, split in splits.items()
    }


def _images(base: Path, files: Sequence[Path]) -> Images:
    """Raises UsageError unless all lie in the folder itself, or all in sub-folders of it."""
    depths = [len(file.relative_to(base).parts) for file in files]
    if max(depths) > 2:
        deep = files[depths.index(max(depths))]
        raise UsageError(
            f"{deep} lies deeper than the sub-folders of {base}, which are the labels; move such images up"
        )
    if min(depths) != max(depths):
        raise UsageError(f"{base} holds images beside sub-folders with images; use one or the other")
    return Images(base, tuple(files))
