"""What tests share: one process, tiny models, a store and a data folder of their own."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory):
    """Nothing a test does touches the runs of whoever runs the tests."""
    home = tmp_path_factory.mktemp("home")
    os.environ["VAE_LAB_HOME"] = str(home)
    return home


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real data sets, where there is one."""
    folder = os.environ.get("VAE_LAB_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("needs the real data sets: set VAE_LAB_DATA to a folder that holds mnist/ and the others")
    return folder


@pytest.fixture
def program():
    """Builds a fresh program on digits: (cfg, pixels, program) by overrides."""
    from vae_lab import compose
    from vae_lab.program import binarize, load_dataset, new_program

    def build(*overrides):
        cfg = compose.compose("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=3", *overrides)
        binarization = compose.make_binarization(cfg)
        pixels = binarize(load_dataset(cfg), binarization)
        return cfg, pixels, new_program(cfg, pixels, binarization)

    return build
