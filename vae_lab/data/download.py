"""Downloads of known data sets, by Keras's own means, and what is said where there is no network."""

from pathlib import Path

from vae_lab.errors import UsageError

# Where Keras keeps what it has downloaded.
KERAS_CACHE = Path("~/.keras/datasets").expanduser()


def no_data(name: str, directory: str | None, files: str, error: Exception) -> UsageError:
    """What to say where neither files nor a download give the data."""
    where = f"{directory}/{name}" if directory else f"<data.dir>/{name}, and set data.dir or VAE_LAB_DATA"
    return UsageError(
        f"data={name}: no files in data.dir={directory}, and the download failed ({str(error)[:200]}).\n"
        f"Put {files} into {where}."
    )


def download(
    name: str, directory: str | None, file: str, origin: str, sha256: str | None, into: Path | None = None
) -> Path:
    """A file of a data set, from Keras's cache or its origin.

    Args:
      name: the data set.
      directory: `data.dir`, for the error.
      file: the file's name.
      origin: its address.
      sha256: the published digest of the file, or None where none is known.
      into: folder that gets the file in a folder of the data set's name; Keras's cache otherwise.

    Raises:
      UsageError: when it cannot be had.
    """
    import keras

    folder = {} if into is None else {"cache_dir": str(into), "cache_subdir": name}
    try:
        return Path(keras.utils.get_file(file, origin, file_hash=sha256, **folder))
    except Exception as error:  # Keras wraps whatever the network does in a bare Exception
        raise no_data(name, directory, file, error) from error
