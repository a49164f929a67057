"""Golden values: a change of code that moves a number is seen. `make golden` writes them anew."""

import json

import pytest
import tensorflow as tf
from golden import AXES, COMPILED, CONFIGURATIONS, FILE, PLAIN, TOLERANCE, measured

from vae_lab.config.options import option_names

GOLDEN = json.loads(FILE.read_text())


@pytest.mark.parametrize("axis", AXES)
def test_every_option_has_golden_values(axis):
    assert {(PLAIN | choices)[axis] for choices in CONFIGURATIONS.values()} == set(option_names(axis))
    assert len(CONFIGURATIONS) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_values_are_the_golden_ones(name):
    assert measured(name) == pytest.approx(GOLDEN[name], rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_values_are_the_golden_ones(name):
    assert measured(name, compiled=True) == pytest.approx(GOLDEN[f"{name}, compiled"], rel=TOLERANCE)


@pytest.mark.slow
def test_eager_values_are_those_of_the_graph():
    """Draws are the same; sums may be taken in another order."""
    tf.config.run_functions_eagerly(True)
    try:
        assert measured("mixture") == pytest.approx(GOLDEN["mixture"], rel=1e-5)
    finally:
        tf.config.run_functions_eagerly(False)
