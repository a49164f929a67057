"""The tests catch known mistakes."""

import subprocess
import sys

import pytest
from conftest import CHECKOUT
from mutations import MUTATIONS


@pytest.mark.slow
def test_every_mutation_is_caught():
    done = subprocess.run(
        [sys.executable, "tests/mutations.py"], cwd=CHECKOUT, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": caught by ") == len(MUTATIONS)
