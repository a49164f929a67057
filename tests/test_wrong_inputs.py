"""Wrong words on the command line: refused before any work, in one line that names the thing and the way out."""

import contextlib
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from vae_lab.commands.train import train as train_by
from vae_lab.config.compose import compose_unchecked, evaluation_of, from_yaml, to_yaml
from vae_lab.config.settings import settings_of
from vae_lab.errors import UsageError
from vae_lab.report.export import folders_of, require_folder, require_target
from vae_lab.study.plan import to_override
from vae_lab.tracking.records import whole_id
from vae_lab.tracking.store import open_store

# By command line, what the line must name.
WORDS = {
    # what Hydra refuses
    "optimiser=adam": ["optimiser", "did you mean optimizer"],
    "latentsize=3": ["latentsize", "did you mean latent_size?"],
    "prior=mixtur": ["prior=mixtur", "did you mean mixture?"],
    "prior=nope": ["prior=nope", "prior can be autoregressive"],
    "experiment=nope": ["experiment=nope", "--list"],
    "experiment=quickstrt": ["experiment=quickstrt", "did you mean quickstart?"],
    "hydra/launcher=nope": ["hydra/launcher=nope", "can be basic"],
    "prior.components=3": ["prior.components", "mixture or vamp has"],
    "components=3": ["components", "prior.components of prior=mixture"],
    "+prior=mixture": ["write prior=mixture, without +"],
    "+optimizer.nope=1": ["optimizer.nope", "Adam takes no such setting", "beta_1"],
    "foo": ["foo is no setting", "key=value"],
    "seed=[0": ["seed=[0 is not in the grammar"],
    "data.path=a=b": ["\"data.path='a=b'\""],
    "--epochs 5": ["--epochs", "training.epochs=5"],
    "seed=0,1": ["seed=0,1 has several values", "-m"],
    "seed=range(3,0)": ["seed=range(3,0)"],
    "-m seed=range(3,0)": ["seed=range(3,0) has no value"],
    "-m prior=mvn,mixtur": ["prior=mixtur", "did you mean mixture?"],
    "-m prior=mixture estimator=monte_carlo prior.componets=3,4": ["prior.componets", "components"],
    # no value at all
    "prior=null": ["prior=null", "prior can be"],
    "-m prior=mvn,null": ["prior=mvn,null", "prior can be"],
    "experiment=null": ["experiment=null", "leave experiment out"],
    "prior=[mvn,mvn_tril]": ["it has one option"],
    "~prior": ["~prior", "leave the word out"],
    "~prior.name": ["~prior.name", "leave the word out"],
    "seed=null": ["seed=null", "whole number"],
    "seed=???": ["seed=??? has no value"],
    "seed=${foo}": ["seed=${foo} has no value"],
    "encoder.hidden=null": ["encoder.hidden=null", "[200,200]"],
    "likelihood.initial_scale=null likelihood=normal binarization=none": ["initial_scale=null", "above 0"],
    "evaluation.pictures=null": ["evaluation.pictures=null", "true"],
    "paths.home=null": ["paths.home=null", "folder"],
    "sweep=null": ["sweep=null", "group of settings"],
    "training.early_stopping=null": ["training.early_stopping=null", "group of settings"],
    # what Keras and TensorFlow would refuse, and what they would take in silence
    "optimizer.beta_1=abc": ["optimizer.beta_1=abc", "below 1"],
    "optimizer.beta_1=2": ["optimizer.beta_1=2", "below 1"],
    "optimizer.epsilon=null": ["optimizer.epsilon=null", "at least 0"],
    "optimizer.epsilon=-1": ["optimizer.epsilon=-1", "at least 0"],
    "optimizer.learning_rate=true": ["optimizer.learning_rate=true", "above 0"],
    "schedule=piecewise schedule.factors=[-1,-1,-1]": ["schedule.factors=[-1, -1, -1]", "at least 0"],
    "encoder=conv decoder=conv decoder.base=[7,7]": ["decoder.base=[7, 7]", "three whole numbers"],
    "encoder=conv encoder.filters=[0,0]": ["encoder.filters=[0, 0]", "at least 1"],
    "encoder._target_=vae_lab.encoder.mlp.Nope": ["Nope in vae_lab.encoder.mlp", "no such class"],
    "encoder.name=foo": ["encoder.name=foo", "encoder="],
    "evaluation.splits=[test,test]": ["evaluation.splits=", "each once"],
    "data.facts={}": ["data.facts", "leave it out"],
    # what a sweep tells its jobs, and studies
    "sweep.parent=abc": ["sweep.parent", "leave it out"],
    "sweep.number=abc": ["sweep.number", "leave it out"],
    "study={arms:{}}": ["study.arms", "such as mvn"],
    "experiment=quickstart hydra.mode=RUN": ["study of arms", "MULTIRUN"],
    # where things go
    "tracking.uri=sqlite:///:memory:": ["tracking.uri=sqlite:///:memory:", "a file that stays"],
    "tracking.uri=postgres://x": ["tracking.uri=postgres://x", "sqlite:///"],
    "tracking.artifacts=s3://bucket": ["tracking.artifacts=s3://bucket", "a folder"],
    "tracking.artifacts=null": ["tracking.artifacts=null", "a folder"],
    # more than there is memory for
    "latent_size=1000000000": ["latent_size=1000000000", "weights", "bytes of memory, and there are"],
    "estimator=importance_weighted estimator.samples=100000000": ["estimator.samples=100000000", "bytes of memory"],
    "encoder=resnet encoder.filters=[100000,100000]": ["encoder=resnet", "450,", "weights at least", "fewer latents"],
    "encoder=resnet decoder=resnet estimator=importance_weighted estimator.samples=100000": [
        "estimator.samples=100000",
        "decoder=resnet",
        "numbers at least",
    ],
    # true and false
    **{
        f"{key}={value}": [f"{key}={value}", "true"]
        for key, value in (
            ("short", "yes"),
            ("short", "1"),
            ("short", "maybe"),
            ("sweep.plan", "yes"),
            ("training.jit", "1"),
            ("training.normalize_gradients", "0"),
            ("likelihood.allow_grey", "1"),
        )
    },
    "-m short=1 seed=0,1": ["short=1", "true or false"],
    "optimizer=sgd optimizer.nesterov=1": ["optimizer.nesterov=1", "true or false"],
}


@pytest.fixture
def train(monkeypatch, tmp_path):
    """`train` in this process: (its exit code, what it wrote to stdout, and to stderr)."""
    monkeypatch.setenv("VAE_LAB_HOME", str(tmp_path))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["scripts/train.py", *words])
        GlobalHydra.instance().clear()
        code, printed, errors = 0, io.StringIO(), io.StringIO()
        # Another object as sys.stderr, and absl would close the one it knows when Hydra sets up the logs.
        with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys.stderr, "write", errors.write)
            try:
                train_by(list(words))
            except SystemExit as end:
                code = end.code
        return code or 0, printed.getvalue(), errors.getvalue()

    yield run
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("words", WORDS)
def test_wrong_words_are_refused_in_a_line(words, train, tmp_path):
    code, _, errors = train(*words.split())
    assert code == 2, errors
    assert len(errors.splitlines()) <= 2, errors
    for named in WORDS[words]:
        assert named in errors, errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=quickstart.yaml", "seed=0"],
        ["seed=0,1", "-m", "latent_size=3"],  # Hydra's own options stand anywhere
        ["tracking.experiment_name=2024"],
        ["schedule=cosine", "optimizer=rmsprop", "+optimizer.weight_decay=0.1"],
        ["posterior.raw_scale_range=[-6,2]", "optimizer.clipnorm=1", "evaluation.pictures=all"],
    ],
)
def test_right_words_are_taken(words, train):
    code, printed, errors = train(*words, "sweep.plan=true")
    assert code == 0, errors
    assert "to do" in printed


STUDY = """
study:
  arms: {ARMS}
  seeds: [0]
  metric: METRIC
hydra: {mode: MULTIRUN}
"""

# By content of an experiment's file, what the line must name.
FILES = {
    "a tab": ("study:\n\tarms: 1\n", ["mine.yaml, line 3", "not YAML"]),
    "a list without its end": ("latent_size: [1\n", ["mine.yaml, line"]),
    "an arm twice": (STUDY.replace("ARMS", "a: {}, a: {}"), ["mine.yaml, line 3", "duplicate key a"]),
    "letters of Latin-1": ("# größe\nseed: 1\n".encode("latin-1"), ["UTF-8"]),
    "true": (STUDY.replace("ARMS", "true: {latent_size: 2}"), ["study.arms has the name true", "in quotes"]),
    "1e3": (STUDY.replace("ARMS", "1.0e+3: {latent_size: 2}"), ["study.arms has the name 1000.0", "in quotes"]),
    "null": (STUDY.replace("ARMS", "null: {latent_size: 2}"), ["null", "in quotes"]),
    "a metric that no run has": (
        STUDY.replace("ARMS", "a: {}").replace("METRIC", "test/elbow"),
        ["study.metric=test/elbow", "did you mean test/elbo"],
    ),
    "no MULTIRUN": (STUDY.replace("ARMS", "a: {}").replace("MULTIRUN", "RUN"), ["MULTIRUN", "-m"]),
    "a group that there is not": (
        "traning: {epochs: 5}\n",
        ["there is no setting traning", "did you mean training"],
    ),
    "a key that there is not": (
        "latnt_size: 3\n",
        ["there is no setting latnt_size", "did you mean latent_size"],
    ),
    **{
        f"{group}.{key}": (f"{group}: {{{key}}}\n", [f"{group}.{key.partition(':')[0]}", "did you mean"])
        for group, key in (
            ("training", "epoch: 30"),
            ("evaluation", "importance_sample: 5"),
            ("data", "seed_split: 1"),
            ("sweep", "max_failure: 2"),
        )
    },
    "a key deep inside": (
        "training: {early_stopping: {patienc: 3}}\n",
        ["training.early_stopping.patienc", "early_stopping.patience"],
    ),
    "arms that are one": (
        STUDY.replace("ARMS", "a: {latent_size: 2}, b: {latent_size: 2}"),
        ["a-s0 and b-s0 are the same"],
    ),
    "a setting that no part has": ("prior: {componentz: 3}\n", ["prior.componentz", "takes no such setting"]),
}


@pytest.fixture
def experiment(tmp_path_factory):
    """Writes an experiment's file: the words that choose it."""
    folder = tmp_path_factory.mktemp("conf")

    def write(content):
        (folder / "experiment").mkdir()
        head = b"# @package _global_\n"
        content = content if isinstance(content, bytes) else content.replace("METRIC", "test/elbo").encode()
        (folder / "experiment" / "mine.yaml").write_bytes(head + content.lstrip(b"\n"))
        return "--config-dir", str(folder), "experiment=mine"

    return write


@pytest.mark.parametrize("content", [b"latent_size: 3\n", b"defaults:\n  - override /prior: mvn_tril\n"])
def test_an_experiment_without_its_first_line_is_told_of_it(content, train, experiment, tmp_path):
    words = experiment("")
    (Path(words[1]) / "experiment" / "mine.yaml").write_bytes(content)
    code, _, errors = train(*words)
    assert (code, len(errors.splitlines())) == (2, 1), errors
    assert "begins with the line `# @package _global_`" in errors


def test_a_file_may_have_names_of_its_own_to_look_up(train, experiment):
    words = experiment("_width: 12\nencoder: {hidden: ['${_width}']}\n")
    code, printed, errors = train(*words, "sweep.plan=true")
    assert (code, "0 done, 1 to do" in printed) == (0, True), errors


@pytest.mark.parametrize("name", FILES)
def test_wrong_experiment_files_are_refused_in_a_line(name, train, experiment, tmp_path):
    content, named = FILES[name]
    code, _, errors = train(*experiment(content))
    assert code == 2, errors
    assert len(errors.splitlines()) <= 2, errors
    for word in named:
        assert word in errors, errors
    assert not list(tmp_path.iterdir())


def test_arms_are_text_whatever_their_letters(train, experiment):
    arms = "2: {latent_size: 2}, 8: {latent_size: 8}, β1: {latent_size: 3}, größe: {latent_size: 4}, '1e3': {seed: 1}"
    arms = arms.replace("{seed: 1}", "{latent_size: 5}")
    rows = "  expected: [{difference: [8, 2], between: [0, null], source: me, mark: C}]\n"
    content = STUDY.replace("ARMS", arms).replace("hydra:", rows + "hydra:")
    code, printed, errors = train(*experiment(content), "sweep.plan=true")
    assert code == 0, errors
    assert all(name in printed for name in ("2-s0", "8-s0", "β1-s0", "größe-s0", "1e3-s0", "5 to do"))


@pytest.mark.parametrize("text", ["2", "1e3", "true", "null", "β1", "a/b", "a b", "größe", "it's", "a,b", "x=1"])
def test_text_stays_text_through_hydra(text):
    (override,) = OverridesParser.create().parse_overrides([to_override("sweep.arm", text)])
    assert override.value() == text


@pytest.mark.parametrize(("full", "code", "traceback"), [("0", 2, False), ("1", 1, True)])
def test_hydra_tells_all_where_it_is_asked_to(full, code, traceback, tmp_path):
    done = subprocess.run(
        [sys.executable, "scripts/train.py", "latentsize=3"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "VAE_LAB_HOME": str(tmp_path), "HYDRA_FULL_ERROR": full},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert ("Traceback" in done.stderr) == traceback


def test_a_run_is_known_by_a_unique_beginning_of_its_id(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "vae_lab", str(tmp_path / "artifacts"))
    ids = {}
    for kind in ("run", "sweep"):
        ids[kind] = store.client.create_run(store.experiment_id, tags={"vae_lab.kind": kind}).info.run_id
    assert whole_id(store, ids["run"]) == whole_id(store, ids["run"][:12]) == ids["run"]
    for beginning, message in (("nope", "is not in"), ("", "begins the ids of 2"), (ids["sweep"], "it is a sweep")):
        with pytest.raises(UsageError, match=message):
            whole_id(store, beginning)
    code = (
        "import runpy, sys\n"
        "try:\n"
        "    runpy.run_path('scripts/evaluate.py', run_name='__main__')\n"
        "finally:\n"
        "    assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run=nope", f"tracking.uri={store.uri}"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "VAE_LAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, "run=nope is not in" in done.stderr) == (2, True), done.stderr


def test_each_arm_has_a_folder_of_its_own():
    arms = ["a/b", "a_b", "A_B", "..", "größe", "mvn", "x" * 300, "x" * 301]
    folders = folders_of(arms)
    assert folders["mvn"] == "mvn"
    assert len({name.casefold() for name in folders.values()}) == len(arms)
    assert all(name not in (".", "..") and "/" not in name and len(name.encode()) < 255 for name in folders.values())


def test_a_report_says_at_once_where_it_cannot_go(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "below", tmp_path / "file"):
        with pytest.raises(UsageError, match="export="):
            require_target(place)
        with pytest.raises(UsageError, match=r"is a file; name another place"):
            require_folder(place, f"out={place}")
    if Path("/proc").is_dir():  # which says that root may write to it
        with pytest.raises(UsageError, match="/proc cannot be written to; name another place"):
            require_folder(Path("/proc/x"), "out=/proc/x")
    require_target(tmp_path / "new" / "study.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize("setting", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_any_encoding_prints(setting, tmp_path):
    done = subprocess.run(
        [sys.executable, "scripts/train.py", "seed=0", "sweep.plan=true"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "VAE_LAB_HOME": str(tmp_path / "50%20 größe"), **setting},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert b"0 done, 1 to do" in done.stdout


@pytest.mark.parametrize("name", ["a ${x} b", "${oc.env:PATH}"])
def test_a_home_that_would_be_looked_up_is_refused_by_name(name, train, monkeypatch, tmp_path):
    monkeypatch.setenv("VAE_LAB_HOME", str(tmp_path / name))
    code, _, errors = train("seed=0", "sweep.plan=true")
    assert (code, len(errors.splitlines())) == (2, 1), errors
    assert errors.startswith(f"VAE_LAB_HOME={tmp_path / name} cannot be used")
    assert not list(tmp_path.iterdir())


def test_a_current_folder_that_was_deleted_is_told_in_a_line(train, monkeypatch, tmp_path, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    with monkeypatch.context() as there:
        there.chdir(gone)
        gone.rmdir()
        code, _, errors = train("seed=0", "sweep.plan=true")
        report = importlib.import_module("vae_lab.commands.report").main(["experiment=quickstart"])
    assert (code, report) == (2, 2)
    told = "the current folder was deleted; go to one that is there, and repeat the command\n"
    assert (errors, capsys.readouterr().err) == (told, told)


@pytest.mark.parametrize("words", [["train", "seed=0"], ["report", "--help"]])
def test_python_without_docstrings_is_told_in_a_line(words, tmp_path):
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "vae_lab", *words],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "VAE_LAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "python -OO" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lacking", ["training.precision", "evaluation.gradient_draws"])
def test_a_configuration_of_another_version_is_told_in_one_line(lacking):
    cfg = compose_unchecked("seed=0")
    group, key = lacking.split(".")
    OmegaConf.set_struct(cfg, False)
    del cfg[group][key]
    with pytest.raises(UsageError, match=f"another version of vae_lab: .*{key}"):
        settings_of(from_yaml(to_yaml(cfg)))


def test_a_change_that_is_no_yaml_is_told_in_one_line():
    with pytest.raises(UsageError, match=r"evaluation.splits=\[test is no YAML"):
        evaluation_of(to_yaml(compose_unchecked("seed=0")), ["evaluation.splits=[test"])
