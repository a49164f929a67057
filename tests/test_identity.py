"""What a number is the result of: what counts in settings, data and code, and what does not."""

import copy
import functools
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace

import pytest
from conftest import CHECKOUT

from vae_lab.config.checks.facts import AXES
from vae_lab.config.compose import compose, compose_unchecked, flat
from vae_lab.config.overrides import check_overrides
from vae_lab.config.settings import OPTIONS, settings_of
from vae_lab.errors import UsageError
from vae_lab.run.device import resolved_jit
from vae_lab.study.code import Sources
from vae_lab.study.identity import (
    PLACES,
    Identity,
    changed_files,
    classes_of,
    differences,
    identity_of,
    normalised,
)
from vae_lab.study.structure import model_structure, training_structure


def settings(**changes):
    return settings_of(compose_unchecked(*(f"{key}={value}" for key, value in changes.items())))


def of(**changes):
    return identity_of(settings(**changes))


# Settings


def test_identity_ignores_places_and_speed_and_sees_everything_else(monkeypatch):
    base = of()
    same = {
        "data.dir": "/else",
        "tracking.experiment_name": "x",
        "sweep.total": 5,
        "training.checkpoint_seconds": 1,
        "evaluation.pictures": "all",
        "evaluation.images_every": 3,
    }
    for key, value in same.items():
        assert of(**{key: value}) == base, key
    other = {
        "latent_size": 3,
        "training.epochs": 3,
        "estimator.beta": 2,
        "optimizer.beta_1": 0.5,
        "training.jit": "false",
    }
    for key, value in other.items():
        assert of(**{key: value}).training != base.training, key
    monkeypatch.setattr("vae_lab.data.digits.SHA256", "other pixels")
    assert of().training != base.training


@pytest.mark.parametrize("node", [*(axis for axis in OPTIONS if axis != "data"), "training"])
def test_every_setting_of_a_model_and_its_training_is_part_of_the_identity(node):
    base = settings()
    content = base.options[node] if node in base.options else asdict(base.training)
    for key in flat(content):
        changed = copy.deepcopy(content)
        *path, leaf = key.split(".")
        functools.reduce(dict.__getitem__, path, changed)[leaf] = "another"
        if node in base.options:
            other = replace(base, options={**base.options, node: changed})
        else:
            stopping = replace(base.training.early_stopping, **changed.pop("early_stopping"))
            other = replace(base, training=replace(base.training, early_stopping=stopping, **changed))
        ignored = key.startswith("facts.") or f"{node}.{key}".startswith(PLACES)
        assert (identity_of(other).training == identity_of(base).training) == ignored, key


def test_identity_separates_training_evaluation_and_seed():
    base = of()
    evaluated = of(**{"evaluation.importance_samples": 7})
    assert evaluated.training == base.training
    assert evaluated.evaluation != base.evaluation
    seeded = of(seed=4)
    assert seeded.training != base.training
    assert seeded.group == base.group


def test_identity_of_training_knows_the_evaluation_that_selects():
    """Weights that are chosen by val/elbo depend on how that is taken."""
    draws = [of(**{"evaluation.samples": samples, "training.select": "best"}) for samples in (1, 2)]
    assert draws[0].training != draws[1].training
    assert "vae_lab/evaluation/elbo.py" in draws[0].training_code
    assert "vae_lab/evaluation/elbo.py" not in of().training_code


def test_a_number_is_the_same_however_it_is_written():
    assert of(**{"estimator.beta": 1}) == of(**{"estimator.beta": "1.0"}) == of(**{"estimator.beta": "1e0"})
    assert normalised({"a": (2.0, True, 0.5, None, "1.0")}) == {"a": [2, True, 0.5, None, "1.0"]}
    assert of(**{"estimator.beta": 1}) != of(**{"estimator.beta": "1.5"})


def test_compilation_is_no_part_of_the_identity_of_what_a_machine_decides(monkeypatch):
    """A convolutional job planned where there is a GPU and where there is none: one identity, two compilations."""
    conv = settings(data="mnist", encoder="conv", decoder="conv")
    plans = []
    for devices in ([], ["/dev/nvidia0"]):
        monkeypatch.setattr("vae_lab.run.device.glob", lambda pattern, devices=devices: devices)
        plans.append(identity_of(conv))
    assert plans[0] == plans[1]
    for found, compiled in (([], False), (["a GPU"], True)):
        monkeypatch.setattr("vae_lab.run.device.found_gpus", lambda found=found: found)
        assert resolved_jit(conv) == compiled
        assert resolved_jit(settings())
        assert not resolved_jit(settings(**{"training.jit": "false"}))


@pytest.mark.parametrize("axis", AXES)
def test_facts_cannot_be_overridden(axis):
    override = "data.facts.levels=5" if axis == "data" else f"++{axis}.facts.anything=false"
    for refuse in (lambda: check_overrides([override], compose_unchecked(override)), lambda: compose(override)):
        with pytest.raises(UsageError, match=rf"{axis}\.facts.* are what {axis}=.* is, and no setting"):
            refuse()


# Code


PART = """
    '''A prior.'''

    import math
    from lab.shared import scale

    WIDTH = 3

    class Prior:
        '''Says what it is.'''

        loc: float = 0.0

        def __init__(self, size):
            self.size = size * WIDTH  # a comment

        def density(self, z):
            return -scale(z) * math.pi
"""
SHARED = """
    def scale(z):
        return 2 * z
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project outside the checkout; returns a function that writes a file of it, and the digests of its prior."""
    (tmp_path / "lab").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name, text):
        (tmp_path / "lab" / name).write_text(textwrap.dedent(text))

    for name, text in (("__init__.py", ""), ("prior.py", PART), ("shared.py", SHARED), ("other.py", "X = 1\n")):
        write(name, text)
    return write, lambda: Sources().closure(["lab.prior"])


def test_code_is_read_over_its_imports_and_nothing_is_imported(project):
    write, digests = project
    write("shared.py", "raise SystemExit\n" + textwrap.dedent(SHARED))
    assert list(digests()) == ["lab/prior.py", "lab/shared.py"]
    assert not [name for name in sys.modules if name.startswith("lab")]


@pytest.mark.parametrize(
    ("right", "edited"),
    [
        ("# a comment", ""),
        ("'''Says what it is.'''", "'''Says it otherwise.'''"),
        ("'''Says what it is.'''\n", "\n"),
        ("def density(self, z):", "def density(self, z: float) -> float:"),
        ("size * WIDTH", "(\n                size * WIDTH\n            )"),
        ("import math\n    from lab.shared import scale", "from lab.shared import scale\n    import math"),
        ("import math\n", "import math\n    from collections.abc import Sequence\n"),
        ("WIDTH = 3", "WIDTH: int = 3"),
        ("loc: float = 0.0", "loc: 'float' = 0.0"),
    ],
)
def test_what_only_readers_see_does_not_count(project, right, edited):
    write, digests = project
    before = digests()
    assert right in PART
    write("prior.py", PART.replace(right, edited))
    assert digests() == before


@pytest.mark.parametrize(
    ("right", "edited"),
    [
        ("WIDTH = 3", "WIDTH = 4"),
        ("-scale(z)", "scale(z)"),
        ("import math", "import cmath as math"),
        ("from lab.shared import scale", "from lab.other import X as scale"),
        ("loc: float = 0.0", "loc = 0.0"),
        ("self, z)", "self, z=1)"),
    ],
)
def test_what_can_change_a_number_counts(project, right, edited):
    write, digests = project
    before = digests()
    assert right in PART
    write("prior.py", PART.replace(right, edited))
    assert digests()["lab/prior.py"] != before["lab/prior.py"]


def test_a_file_that_two_parts_share_counts_for_both_and_no_other_does(project):
    write, digests = project
    before = digests()
    write("shared.py", SHARED.replace("2 * z", "3 * z"))
    after = digests()
    assert before["lab/prior.py"] == after["lab/prior.py"]
    assert before["lab/shared.py"] != after["lab/shared.py"]
    write("other.py", "X = 2\n")
    assert digests() == after


@pytest.mark.parametrize(
    ("package", "taken"),
    [
        ("from lab.shared import scale", "from lab import scale"),
        ("from .shared import scale as size", "from lab import size as scale"),
        ("from lab.shared import *", "from lab import scale"),
        ("from lab.shared import scale", "from lab import *"),
        ("from lab.shared import scale", "import lab; scale = lab.scale"),
    ],
)
def test_what_a_package_hands_on_is_followed_to_where_it_is_made(project, package, taken):
    write, digests = project
    write("__init__.py", package)
    write("prior.py", PART.replace("from lab.shared import scale", taken))
    assert "lab/shared.py" in digests()
    write("__init__.py", f"{package}\nfrom lab.prior import *")
    assert {"lab/prior.py", "lab/shared.py"} <= set(Sources().closure([], ["lab.Prior"]))


def test_a_package_counts_by_what_it_does_and_not_by_what_it_hands_on(project):
    write, digests = project
    before = digests()
    write("__init__.py", "'''Says what it is.'''\nfrom lab.other import X\n")
    assert digests() == before
    write("__init__.py", "import lab.shared\nlab.shared.scale = abs\n")
    assert set(digests()) == {*before, "lab/__init__.py"}


def test_other_code_s_libraries_count_by_their_version(project):
    import numpy as np

    write, digests = project
    write("prior.py", "import numpy\nimport csv\nimport tqdm\n")
    assert digests() == Sources().closure(["lab.prior"])
    assert set(Sources().closure([], ["lab.prior.Prior"])) == {"lab/prior.py", "numpy", "tqdm"}
    assert set(Sources().closure([], ["lab.prior.Prior"], without=("tqdm",))) == {"lab/prior.py", "numpy"}
    assert Sources().closure([], ["lab.prior.Prior"])["numpy"] == np.__version__


@pytest.mark.parametrize(
    "text",
    [
        "from lab import shared\n",
        "import lab.shared\n",
        "def f():\n    from lab.shared import scale\n    return scale\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    X = 1\nelse:\n    from lab import shared as X\n",
    ],
)
def test_imports_count_for_what_they_do_wherever_they_stand(project, text):
    write, digests = project
    write("prior.py", text)
    assert "lab/shared.py" in digests()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "if X:\n    from a import f\nelse:\n    from b import f\n",
            "if X:\n    from b import f\nelse:\n    from a import f\n",
        ),
        ("from a import *\nfrom b import *\n", "from b import *\nfrom a import *\n"),
        (
            "class P(Protocol):\n    def f(self):\n        return 1\n",
            "class P(Protocol):\n    def f(self):\n        return 2\n",
        ),
        ("class P:\n    x: int = 1\n", "class P:\n    x: ClassVar[int] = 1\n"),
    ],
)
def test_where_an_import_stands_and_what_a_type_does_counts(project, one, other):
    write, digests = project
    use = "\nF = f, X\n"
    write("prior.py", one + use)
    before = digests()
    write("prior.py", other + use)
    assert digests() != before


def test_a_target_is_a_class_s_method_a_function_by_its_path_or_within_a_list():
    settings = {
        "schedule": {"_target_": "lab.prior.Prior.half"},
        "encoder": {"activation": {"_target_": "hydra.utils.get_method", "path": "lab.shared.scale"}},
        "layers": [{"_target_": "lab.other.X"}],
    }
    assert set(classes_of(settings)) == {"lab.prior.Prior.half", "lab.shared.scale", "lab.other.X"}


def test_targets_are_found_within_classes_and_packages_without_init(project, tmp_path):
    _, _ = project
    assert set(Sources().closure([], ["lab.prior.Prior.half"])) == {"lab/prior.py", "lab/shared.py"}
    (tmp_path / "space" / "inner").mkdir(parents=True)
    (tmp_path / "space" / "inner" / "part.py").write_text("X = 1\n")
    assert set(Sources().closure([], ["space.inner.part.X"])) == {"space/inner/part.py"}


def test_what_is_no_python_is_named(project):
    write, digests = project
    write("prior.py", "def f(:\n")
    with pytest.raises(UsageError, match=r"prior\.py: invalid syntax"):
        digests()


def test_digests_are_the_same_in_another_python(tmp_path):
    """The text that is digested holds no memory address, no order of sets, and no seed of hashes."""
    code = (
        "from vae_lab.study.code import Sources; print(Sources().closure(['vae_lab.training', 'vae_lab.prior.vamp']))"
    )
    seeds = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2")]
    told = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, cwd=CHECKOUT)
        for env in seeds
    ]
    assert told[0].stdout == told[1].stdout != ""


def test_an_installed_part_counts_by_its_version_and_libraries_not_at_all():
    import hydra

    found = Sources().closure(["vae_lab.errors"], ["hydra.core.utils.JobReturn"])
    assert found == {"hydra": hydra.__version__, **Sources().closure(["vae_lab.errors"])}
    assert "keras" not in of().code


def test_the_code_of_a_run_is_that_of_its_own_parts_and_of_the_core():
    mvn, vamp = of(), of(prior="vamp", estimator="monte_carlo")
    assert "vae_lab/prior/mvn.py" in mvn.training_code
    assert "vae_lab/prior/vamp.py" not in mvn.training_code
    assert {"vae_lab/prior/vamp.py", "vae_lab/layers/gaussian_mixture.py"} <= set(vamp.training_code)
    files = ("training", "model", "binarization", "config/parts", "run/fit", "run/program", "randomness", "data/digits")
    for core in files:
        assert f"vae_lab/{core}.py" in mvn.training_code
    for core in ("elbo", "importance", "aggregate", "metrics", "final"):
        assert f"vae_lab/evaluation/{core}.py" in mvn.evaluation_code
    rooms = ("report", "tracking", "console", "evaluation/pictures", "run/job", "run/checkpoint", "study", "search")
    assert not [path for path in mvn.code for room in rooms if path.startswith(f"vae_lab/{room}")]


@pytest.fixture
def edited(tmp_path):
    """A copy of the product, and a function that edits a file of it and plans two priors there: their identities."""
    import shutil

    for part in ("vae_lab", "conf", "hydra_plugins"):
        shutil.copytree(CHECKOUT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import json, sys; sys.path.insert(0, '.')\n"
        "from vae_lab.config.compose import compose_unchecked\n"
        "from vae_lab.config.settings import settings_of\n"
        "from vae_lab.study.identity import identity_of\n"
        "for prior in ('mixture', 'flow'):\n"
        "    one = identity_of(settings_of(compose_unchecked(f'prior={prior}', 'estimator=monte_carlo')))\n"
        "    print(json.dumps([one.training, one.evaluation]))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )

    def plan(file=None, right="", wrong=""):
        if file is not None:
            text = (tmp_path / file).read_text()
            assert text.count(right) >= 1, file
            (tmp_path / file).write_text(text.replace(right, wrong, 1))
        told = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        if file is not None:
            (tmp_path / file).write_text(text)
        return [json.loads(line) for line in told.splitlines()]

    return plan


@pytest.mark.slow
def test_an_edit_makes_those_runs_missing_that_it_can_change(edited):
    mixture, flow = edited()
    # A constant of one prior: its runs alone.
    prior = edited("vae_lab/prior/mixture.py", "RandomNormal(stddev=loc_spread)", "RandomNormal(stddev=2 * loc_spread)")
    assert (prior[0][0] != mixture[0], prior[1]) == (True, flow)
    # A layer that a prior has: the runs with it.
    shared = edited("vae_lab/layers/coupling.py", "import tensorflow as tf", "import tensorflow as tf\nNEW = 1")
    assert (shared[0], shared[1][0] != flow[0]) == (mixture, True)
    # An evaluator: all are evaluated anew, and none is trained.
    evaluator = edited("vae_lab/evaluation/importance.py", "SAMPLES_AT_ONCE = 10", "SAMPLES_AT_ONCE = 5")
    assert [one[0] for one in evaluator] == [mixture[0], flow[0]]
    assert not {one[1] for one in evaluator} & {mixture[1], flow[1]}
    # A picture, a report, a word of an error: nothing.
    for file, right, wrong in (
        ("vae_lab/evaluation/pictures/traversals.py", "import numpy as np", "import numpy as np\nNEW = 1"),
        ("vae_lab/report/page.py", "PICTURE_BYTES = 2_500_000", "PICTURE_BYTES = 1"),
        ("vae_lab/run/conclude.py", "1e6", "1e5"),
    ):
        assert edited(file, right, wrong) == [mixture, flow]


# What differs, in words


def test_differences_name_settings_data_and_files():
    one = Identity(
        {"training.epochs": 10, "seed": 0}, {"evaluation.samples": 1}, "a" * 64, {"a.py": "1"}, {"b.py": "1"}
    )
    other = Identity(
        {"training.epochs": 100, "seed": 0}, {"evaluation.samples": 1}, "b" * 64, {"a.py": "2"}, {"b.py": "1"}
    )
    assert differences(one, one) == []
    assert differences(one, other) == [
        "training.epochs 10 -> 100",
        f"data (SHA-256 {'a' * 12}... -> {'b' * 12}...)",
        "code: a.py",
    ]
    assert changed_files(one, replace(one, evaluation_code={})) == ["b.py"]
    assert Identity.from_json(other.to_json()) == other


# Structure


def test_model_structure_ignores_how_and_on_which_pixels_a_model_is_trained():
    base = model_structure(settings())
    for changes in ({"estimator": "monte_carlo"}, {"binarization": "static"}, {"optimizer": "sgd"}, {"seed": 3}):
        assert model_structure(settings(**changes)) == base
    for changes in (
        {"latent_size": 3},
        {"binarization": "none", "likelihood": "normal"},
        {"data": "mnist"},
        {"training.precision": "mixed_bfloat16"},
    ):
        assert model_structure(settings(**changes)) != base
    grey, drawn = (settings(likelihood="discretized_logistic", binarization=name) for name in ("none", "static"))
    assert model_structure(grey) != model_structure(drawn)


def test_training_structure_ignores_seed_and_constant_learning_rate_alone():
    base = training_structure(settings(), 1200)
    assert training_structure(settings(seed=3, **{"optimizer.learning_rate": 0.1}), 1200) == base
    for changes in (
        {"latent_size": 3},
        {"training.batch_size": 10},
        {"estimator.beta": 2},
        {"prior": "mixture", "estimator": "monte_carlo"},
        {"training.loss_reduction": "sum"},
        {"training.normalize_gradients": "true"},
    ):
        assert training_structure(settings(**changes), 1200) != base
    assert training_structure(settings(), 1000) != base
    falling = {"schedule": "cosine"}
    assert training_structure(settings(**falling), 1200) != training_structure(
        settings(**falling, **{"optimizer.learning_rate": 0.1}), 1200
    )
    longer = settings(**falling, **{"training.epochs": 50})
    assert training_structure(longer, 1200) != training_structure(settings(**falling), 1200)
