"""Downloads known data sets into a folder, checks them, and says what is there: for machines without a network.

vae-lab data mnist fashion_mnist binarized_mnist cifar10 omniglot dir=/data
Without dir= they go to VAE_LAB_DATA.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from vae_lab.config import compose, options
from vae_lab.console.command import Words, as_started, command
from vae_lab.data.dataset import load
from vae_lab.errors import UsageError


def downloadable() -> dict[str, Any]:
    """The modules of the data sets that can be downloaded, by name."""
    modules = {name: importlib.import_module(f"vae_lab.data.{name}") for name in options.option_names("data")}
    return {name: module for name, module in modules.items() if hasattr(module, "fetch")}


def folder_of(given: str | None) -> Path:
    """The folder to fill, made if need be."""
    chosen = given or os.environ.get("VAE_LAB_DATA")
    if not chosen:
        raise UsageError("no folder to download to; say dir=FOLDER, or set VAE_LAB_DATA")
    folder = Path(chosen).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"dir={chosen} cannot be made ({error}); name another folder") from error
    return folder


def get(name: str, module: Any, folder: Path) -> str:
    """Downloads a data set that is not in the folder, and loads it from there; returns what to say of it."""
    present = module.in_folder(folder)
    if not present:
        if not os.access(folder, os.W_OK):
            raise UsageError(f"data={name} is not in dir={folder}, which cannot be written to; name another folder")
        module.fetch(folder)
    settings = compose.plain(options.read_option("data", name))
    option = settings.get("data", settings) | {"dir": str(folder)}
    dataset = load(option)
    rows = sum(map(len, dataset.splits().values()))
    return f"{name}: {'there already' if present else 'downloaded'}, {rows} rows, {dataset.source}"


def download(words: Words) -> int:
    """Downloads what is not there."""
    if not words.names:
        print(as_started(__doc__), file=sys.stderr)
        return 2
    known = downloadable()
    for name in words.names:
        if name not in known:
            raise UsageError(f"{name} is not one of: {', '.join(known)}")
    folder = folder_of(words.given.get("dir"))
    for name in words.names:
        print(get(name, known[name], folder))
    return 0


main = command(download, __doc__, ("dir",), names=True)
