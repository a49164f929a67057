"""The rules of the house: one file an option, imports in one direction, nothing heavy at start-up."""

import ast
import inspect
import re

import pytest
import yaml
from conftest import CHECKOUT
from hydra.utils import get_class

from vae_lab import protocols

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


def test_only_configurations_and_sweeps_know_hydra():
    rooms = ("vae_lab.config", "vae_lab.study", "vae_lab.sweep", "vae_lab.search", "vae_lab.commands")
    assert all(within(name, *rooms) for name in importers_of("hydra", "omegaconf"))


def test_only_search_knows_optuna():
    assert all(within(name, "vae_lab.search") for name in importers_of("optuna"))


# Each room may import those before it, and the words of report/format.py are everybody's.
ROOMS = ("config", "study", "tracking", "console", "report", "run", "sweep", "search", "testing", "commands")
WORDS = "vae_lab.report.format"


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_only_go_down(room):
    later = [f"vae_lab.{other}" for other in ROOMS[ROOMS.index(room) + 1 :]]
    for path in (PACKAGE / room).rglob("*.py"):
        for name in imports(path):
            assert within(name, WORDS) or not within(name, *later), f"{path} imports {name}"


def test_mathematics_knows_no_room_but_the_settings():
    rooms = [f"vae_lab.{room}" for room in ROOMS]
    for path in MODULES:
        if path.parent != PACKAGE and not within(module_name(path), *rooms):
            for name in imports(path):
                assert within(name, "vae_lab.config.settings") or not within(name, *rooms), f"{path} imports {name}"


def test_no_two_modules_have_one_name():
    """But for the options and the subcommands, whose file has the name that is typed, and a room's own module."""
    options = (*AXES, "data", "commands")
    named = [path for path in MODULES if path.stem != "__init__" and path.parent.name not in options]
    twice = {path.stem for path in named if sum(other.stem == path.stem for other in named) > 1}
    assert twice <= {"parent"}, twice  # the parent run of a sweep, and that of a search


def test_no_function_takes_nine_arguments():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                names = [one.arg for one in (*node.args.args, *node.args.kwonlyargs) if one.arg not in ("self", "cls")]
                assert len(names) <= 8, f"{path}: {node.name}"


def test_the_configuration_stops_at_the_job():
    for path in [*(PACKAGE / "run").glob("*.py"), *(PACKAGE / "evaluation").rglob("*.py"), PACKAGE / "training.py"]:
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert "cfg" not in names or path.stem in ("job", "reevaluate", "loaded", "single"), path


def facts_stated():
    """By fact, an option that states it."""
    found = {}
    for path in (CHECKOUT / "conf").glob("*/*.yaml"):
        option = yaml.safe_load(path.read_text()) or {}
        for fact in option.get(path.parent.name, option).get("facts") or {}:
            found[fact] = path.stem
    return found


def test_every_fact_is_read():
    text = "\n".join(path.read_text() for path in MODULES)
    for fact, option in facts_stated().items():
        read = re.search(rf'\bdata_fact\([^)]*"{fact}"|\bfact\([^)]*"{fact}"|\["{fact}"\]|get\("{fact}"', text)
        assert read, f"{option} states {fact}, and nothing reads it"


def test_every_test_that_guards_what_we_lean_on_is_there():
    for file, name in re.findall(r"(test_\w+\.py)::(\w+)", (CHECKOUT / "docs" / "internals.md").read_text()):
        assert f"def {name}(" in (CHECKOUT / "tests" / file).read_text(), name


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


@pytest.mark.parametrize("axis", AXES)
def test_parts_name_their_role_and_keep_to_it(axis):
    """A class of an option is one of its axis's role by name; its methods take what the role's take."""
    role = getattr(protocols, axis.capitalize())
    told = {name: value for name, value in vars(role).items() if inspect.isfunction(value) and name[0] != "_"}
    told |= {"__call__": vars(role)["__call__"]} if "__call__" in vars(role) and axis == "estimator" else {}
    for path in (CHECKOUT / "conf" / axis).glob("*.yaml"):
        part = get_class(yaml.safe_load(path.read_text())["_target_"])
        assert role in part.__mro__, path.stem
        for name, method in told.items():
            assert getattr(part, name) is not method, f"{path.stem} has no {name}"
            wanted, taken = (list(inspect.signature(one).parameters) for one in (method, getattr(part, name)))
            assert taken == wanted, f"{path.stem}.{name} takes {taken}, and its role {wanted}"


def test_the_model_keeps_to_its_role():
    from vae_lab.model import VAE

    assert protocols.Model in VAE.__mro__
    for name in ("features", "encode", "latent_prior", "likelihood_parameters", "decode", "conditional_log_prob"):
        of_role = inspect.signature(getattr(protocols.Model, name)).parameters
        assert list(inspect.signature(getattr(VAE, name)).parameters) == list(of_role), name
        assert vars(VAE)[name] is not vars(protocols.Model)[name]


@pytest.mark.parametrize("group", ["data", "binarization"])
def test_options_of_the_other_axes_say_their_names(group):
    for path in (CHECKOUT / "conf" / group).glob("*.yaml"):
        option = yaml.safe_load(path.read_text())
        assert option.get(group, option)["name"] == path.stem


def test_printing_a_table_draws_nothing():
    for module in ("report/screen", "report/table", "console/terminal", "console/plan_table"):
        path = PACKAGE / f"{module}.py"
        for one in reached(path, {path}):
            drawing = {name.split(".")[0] for name in imports(one, top_level_only=True)}
            assert not drawing & {"jinja2", "markupsafe", "matplotlib", "plotly"}, one


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
