"""The lessons run from their first cell to their last, in their short form, one after the other in one process."""

import json
import os
import subprocess
import sys

import pytest
from conftest import CHECKOUT

NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """By the notebook's name: (exit code, what it printed)."""
    home = tmp_path_factory.mktemp("lessons")
    steps = [{"page": path.name, "language": "python", "text": path.read_text(), "note": ""} for path in NOTEBOOKS]
    environment = {
        "VAE_LAB_HOME": str(home),
        "MPLBACKEND": "agg",
        "PYTHONPATH": str(CHECKOUT / "notebooks"),
        "VAE_LAB_LESSON": "1",
    }
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "tests" / "documented.py")],
        input=json.dumps(steps),
        cwd=home,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(NOTEBOOKS), done.stderr
    return {NOTEBOOKS[number].stem: (code, printed) for number, code, printed in lines}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_and_ends_with_a_look_at_mlflow(path, outcomes):
    code, printed = outcomes[path.stem]
    assert code == 0, printed
    assert "test/elbo" in printed
    assert "mlflow ui --workers 1 --backend-store-uri sqlite:" in printed


def test_there_is_a_lesson_for_each_of_the_five_systems():
    systems = (
        ["probabilistic_layers", "probabilistic_layers_mixture"],
        ["fashion_normal"],
        ["dense_l2", "spatial_latent"],
        ["cvae_tutorial"],
        ["cvae_tutorial_latent50"],
    )
    assert len(NOTEBOOKS) == len(systems)
    for path, experiments in zip(NOTEBOOKS, systems, strict=True):
        for name in experiments:
            assert f'lesson.runs("{name}")' in path.read_text()
            assert (CHECKOUT / "conf" / "experiment" / f"{name}.yaml").is_file()
