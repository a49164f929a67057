"""Arrays in MATLAB's files, as some data sets of the field are kept."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vae_lab.errors import UsageError, told


def read_mat(path: Path, names: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Reads the arrays of these names and shapes.

    Raises:
      UsageError: when the file is broken, or has no such arrays.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=list(names))
    except Exception as error:  # what scipy's reader raises of a broken file is whatever it stumbles over
        raise UsageError(f"{path} is not a complete MATLAB file ({told(error)}); get it again") from error
    for name, shape in names.items():
        if name not in found or found[name].shape != shape:
            has = list(found[name].shape) if name in found else "none"
            raise UsageError(f"{path} must have an array {name} of shape {list(shape)}; it has {has}")
    return {name: found[name] for name in names}
