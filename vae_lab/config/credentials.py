"""Passwords in addresses: taken out before anything is composed of them, and put back where a connection is made.

`tracking.uri=http://user:password@host` becomes http://host, and the two go into the variables of the environment that
MLflow reads; the password of `hydra.sweeper.storage` into one of ours. Workers inherit the environment. So no
configuration, log, tag, report or error has one to hold.
"""

import os
import re
from urllib.parse import quote, unquote

from omegaconf import OmegaConf

from vae_lab.errors import UsageError

USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"  # MLflow's own names
STORAGE_PASSWORD = "VAE_LAB_STORAGE_PASSWORD"
TRACKING, STORAGE = "tracking.uri", "hydra.sweeper.storage"
# scheme://user:password@, where the password may hold anything but what ends the host; the last @ counts.
USER = re.compile(r"(?<=://)([^/@:\s]*)(?::([^/\s]*))?@")


def kept_apart(word: str) -> str:
    """An override without the password of the address that it gives, which goes into the environment.

    >>> kept_apart("tracking.uri=http://me:secret@host:5000")
    'tracking.uri=http://host:5000'

    Raises:
      UsageError: where a password stands in another setting, which would be written down.
    """
    key, equals, value = word.partition("=")
    key = key.lstrip("+")
    if key in (TRACKING, STORAGE) and "${oc.env:" in value:
        value = str(OmegaConf.create({"address": value.strip("'\"")}).address)
    if not has_password(value):
        return word
    if key == TRACKING:
        return f"{key}{equals}{tracking_address(value)}"
    if key == STORAGE:
        return f"{key}{equals}{storage_address(value)}"
    raise UsageError(f"{key}={without_password(value)}: a password has no place there; leave it out")


def has_password(text: str) -> bool:
    """Whether a text holds an address with a user and a password."""
    return any(found[2] is not None for found in USER.finditer(text))


def without_password(text: str) -> str:
    """A text whose addresses name neither user nor password."""
    return USER.sub("", text)


def tracking_address(address: str) -> str:
    """The address of a tracking server without user and password, which MLflow finds in the environment."""
    if (found := USER.search(address)) and found[2] is not None and "http" in address[: found.start()]:
        os.environ[USERNAME], os.environ[PASSWORD] = unquote(found[1]), unquote(found[2])
        return without_password(address)
    return address


def storage_address(address: str) -> str:
    """The address of a search's database with its user and without the password, which `with_password` puts back."""
    if (found := USER.search(address)) and found[2] is not None:
        os.environ[STORAGE_PASSWORD] = unquote(found[2])
        return address[: found.start()] + found[1] + "@" + address[found.end() :]
    return address


def with_password(address: str) -> str:
    """The address of a search's database as it is connected to."""
    found, password = USER.search(address), os.environ.get(STORAGE_PASSWORD)
    if found is None or found[2] is not None or password is None:
        return address
    return address[: found.end() - 1] + ":" + quote(password, safe="") + address[found.end() - 1 :]
