"""Known data at hand are read once for each state of their files, so that broken ones are known before any work."""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vae_lab.data.dataset import load, source_of


def cache_folder() -> Path:
    """Where it is kept which files have been found whole: empty files, named by what was read."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vae_lab" / "verified"


def verify(option: Mapping[str, Any]) -> None:
    """Reads the files of a data set whose pixels are pinned, unless they are as they were when they were last read.

    Data without a pinned digest are read for their identity in any case.

    Raises:
      UsageError: when they are not whole, or not the data set of that name.
    """
    source, settings = source_of(option)
    if not (hasattr(source, "SHA256") and hasattr(source, "files")):
        return
    states = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in source.files(**settings)]
    mark = cache_folder() / hashlib.sha256(repr((source.SHA256, states)).encode()).hexdigest()
    if not states or mark.is_file():
        return
    load(option)
    with contextlib.suppress(OSError):  # a home that cannot be written: they are read again the next time
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
