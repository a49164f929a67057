"""Every legal pair of options, over all axes, trains two steps in one of the combinations below."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from conftest import CHECKOUT

from vae_lab import compose
from vae_lab.errors import UsageError
from vae_lab.program import binarize, load_dataset, new_program

AXES = ("binarization", "encoder", "posterior", "decoder", "likelihood", "prior", "estimator")


def options(axis):
    return sorted(path.stem for path in (CHECKOUT / "conf" / axis).glob("*.yaml"))
