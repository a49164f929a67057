"""What tests share: one process, tiny models, a store and a data folder of their own."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
# A network that trains in no time; and a run of it that can be cut off anywhere and has frames.
TINY = ("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "training.jit=false")
CUT_OFF = (
    *TINY,
    "training.epochs=6",
    "training.checkpoint_seconds=0",
    "evaluation.importance_samples=5",
    "evaluation.images_every=2",
)
FIGURES = pytest.StashKey[list[tuple[str, str, str]]]()


def pytest_addoption(parser):
    parser.addoption("--figures", help="Markdown file whose table of measured figures is written anew")


def pytest_configure(config):
    config.stash[FIGURES] = []


@pytest.fixture
def figure(request):
    """Notes what a test measured, and what it had to be, for the table of `--figures`."""

    def note(what, measured, expected):
        request.config.stash[FIGURES].append((what.replace("|", "\\|"), f"{measured:.6g}", expected))

    return note


def pytest_sessionfinish(session):
    target, figures = session.config.getoption("--figures"), session.config.stash[FIGURES]
    if target is None or not figures:
        return
    rows = [("what", "measured", "must be"), ("---", "---:", "---"), *figures]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    path = Path(target)
    begin, end = "<!-- figures -->\n", "<!-- end of figures -->\n"
    head, _, rest = path.read_text().partition(begin)
    path.write_text(head + begin + table + end + rest.partition(end)[2])


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
def order_of():
    """What a run of a configuration is, and where it goes: by configuration, name and tags."""
    from vae_lab.run import job
    from vae_lab.tracking.store import open_store

    def order(cfg, name, tags=None):
        store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
        return job.order_of(cfg, tags or {}, name, store)

    return order


@pytest.fixture
def program():
    """Builds a fresh program on digits: (settings, images, program) by overrides."""
    from vae_lab.config import compose
    from vae_lab.config.settings import settings_of
    from vae_lab.run.program import images_of, new_program

    def build(*overrides):
        networks = [part for part in ("encoder", "decoder") if not any(o.startswith(f"{part}=") for o in overrides)]
        cfg = compose.compose(*(f"{part}.hidden=[16]" for part in networks), "latent_size=3", *overrides)
        settings = settings_of(cfg)
        images = images_of(settings)
        return settings, images, new_program(settings, images)

    return build
