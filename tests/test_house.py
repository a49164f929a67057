"""The rules of the house: one file an option, imports in one direction, nothing heavy at start-up."""

import ast
import re

import pytest
import yaml
from conftest import CHECKOUT
from hydra.utils import get_class

PACKAGE = CHECKOUT / "vae_lab"
AXES = ("encoder", "decoder", "posterior", "prior", "likelihood", "estimator")
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def imports(path, top_level_only=False):
    """Names of the modules that a file imports."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def importers_of(*packages):
    return {module_name(path) for path in MODULES if any(name.split(".")[0] in packages for name in imports(path))}


def within(name, *rooms):
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def test_only_tracking_knows_mlflow():
    assert all(within(name, "vae_lab.tracking") for name in importers_of("mlflow"))


def test_only_compose_and_sweep_know_hydra():
    rooms = ("vae_lab.config", "vae_lab.study", "vae_lab.sweep", "vae_lab.search")
    assert all(within(name, *rooms) for name in importers_of("hydra", "omegaconf"))


def test_nobody_uses_legacy_keras_or_tfp_layers():
    for path in MODULES:
        text = path.read_text()
        assert "tf_keras" not in text
        assert "tfp.layers" not in text
        assert "tf.keras" not in text


def test_parts_import_no_sibling():
    for axis in AXES:
        for path in (PACKAGE / axis).glob("*.py"):
            for name in imports(path):
                if within(name, "vae_lab"):
                    legal = (
                        "vae_lab.numerics",
                        "vae_lab.errors",
                        "vae_lab.layers",
                        "vae_lab.protocols",
                        f"vae_lab.{axis}",
                    )
                    assert within(name, *legal), f"{path} imports {name}"


def test_training_and_evaluation_know_no_tracker():
    for room in (
        PACKAGE / "training.py",
        *(PACKAGE / "evaluation").rglob("*.py"),
        *(PACKAGE / "estimator").glob("*.py"),
    ):
        assert not any(within(name, "vae_lab.tracking", "vae_lab.sweep", "vae_lab.report") for name in imports(room))


REPORT = [f"report/{path.stem}" for path in sorted((PACKAGE / "report").glob("*.py"))]
LIGHT = (
    "config/checks/__init__",
    "config/compose",
    "study/identity",
    "layers/conv_sizes",
    "study/plan",
    "run/job",
    "search/search",
)


def reached(path, seen):
    """All modules of the package that importing a file imports."""
    for name in imports(path, top_level_only=True):
        for candidate in (
            CHECKOUT / (name.replace(".", "/") + ".py"),
            CHECKOUT / name.replace(".", "/") / "__init__.py",
        ):
            if name.startswith("vae_lab") and candidate.is_file() and candidate not in seen:
                seen.add(candidate)
                reached(candidate, seen)
    return seen


@pytest.mark.parametrize("module", [*LIGHT, *REPORT, "console/progress", "study/experiments"])
def test_start_up_and_report_import_no_tensorflow(module):
    path = PACKAGE / f"{module}.py"
    for one in reached(path, {path}):
        heavy = {name.split(".")[0] for name in imports(one, top_level_only=True)}
        assert not heavy & {"tensorflow", "tensorflow_probability", "keras", "mlflow"}, one


@pytest.mark.parametrize("axis", AXES)
def test_one_option_is_one_yaml_and_one_file_of_the_same_name(axis):
    options = {path.stem for path in (CHECKOUT / "conf" / axis).glob("*.yaml")}
    assert options
    for name in options:
        option = yaml.safe_load((CHECKOUT / "conf" / axis / f"{name}.yaml").read_text())
        assert option["name"] == name
        assert option["_target_"].startswith(f"vae_lab.{axis}.{name}.")
        assert get_class(option["_target_"]).__doc__
    assert options <= {path.stem for path in (PACKAGE / axis).glob("*.py")}


@pytest.mark.parametrize("group", ["data", "binarization"])
def test_options_of_the_other_axes_say_their_names(group):
    for path in (CHECKOUT / "conf" / group).glob("*.yaml"):
        option = yaml.safe_load(path.read_text())
        assert option.get(group, option)["name"] == path.stem


def test_files_stay_small():
    for path in [*MODULES, *(CHECKOUT / "scripts").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 300, path


def test_no_drawer_for_leftovers():
    assert not [path for path in MODULES if path.stem in ("utils", "helpers", "common", "misc")]


def test_every_module_class_and_public_function_of_the_product_says_what_it_is():
    for path in MODULES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path}: {node.name}"


def test_the_lock_holds_hashes_and_no_addresses():
    lock = (CHECKOUT / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert not re.search(r"https?://|--index|--find-links", lock)


def test_readme_names_only_files_that_exist():
    text = (CHECKOUT / "README.md").read_text()
    for path in re.findall(r"`((?:conf|vae_lab|scripts|docs|tests)/[\w/.]+\.(?:py|yaml|md|png))`", text):
        assert (CHECKOUT / path).exists() or "<name>" in path, path


@pytest.mark.parametrize("axis", ["data", "binarization", *AXES, "optimizer", "schedule"])
def test_readme_lists_every_option(axis):
    options = sorted(path.stem for path in (CHECKOUT / "conf" / axis).glob("*.yaml"))
    row = f"| `{axis}` | {', '.join(f'`{name}`' for name in options)} |"
    assert row in (CHECKOUT / "README.md").read_text()
