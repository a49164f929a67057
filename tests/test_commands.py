"""The command `vae-lab`: its subcommands, its help, completion, and what is imported for them."""

import importlib
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request

import psutil
import pytest
from conftest import CHECKOUT

from vae_lab import __main__ as program
from vae_lab.commands import train_help, ui
from vae_lab.config.options import option_names
from vae_lab.console.command import as_started
from vae_lab.errors import UsageError
from vae_lab.tracking.store import open_store

PRESENT = [name for name in program.SUBCOMMANDS if (CHECKOUT / "vae_lab" / "commands" / f"{name}.py").is_file()]


def test_help_names_every_subcommand_in_a_screen(capsys):
    assert program.main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) <= 24
    for name, what in program.SUBCOMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(what)}$", printed, re.MULTILINE)


def test_no_subcommand_is_an_error_that_lists_them(capsys):
    assert program.main([]) == 2
    assert "reproduce" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("trian", "trian is no subcommand; did you mean train?"),
        ("xyz", "xyz is no subcommand; there are train, evaluate"),
        ("prior=mvn", "settings follow one, as in: vae-lab train prior=mvn"),
        ("-m", "settings follow one, as in: vae-lab train -m"),
    ],
)
def test_an_unknown_subcommand_is_told_in_a_line(word, told, capsys):
    assert program.main([word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_help_imports_nothing_but_the_standard_library_and_itself():
    code = (
        "import sys; from vae_lab.__main__ import main; main(['--help']); main(['nothing'])\n"
        "heavy = {'hydra', 'omegaconf', 'rich', 'mlflow', 'tensorflow', 'numpy', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("name", PRESENT)
def test_every_subcommand_has_help_and_a_main(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["vae-lab"])
    monkeypatch.setenv("PYTHONPATH", "")
    assert program.main([name, "--help"]) == 0
    printed = capsys.readouterr()
    assert (as_started(f"vae-lab {name}") in printed.out, printed.err) == (True, "")


def test_a_reader_that_has_read_enough_ends_a_command():
    script = f"{sys.executable} scripts/schema.py | head -1"
    done = subprocess.run(["bash", "-c", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_the_wheel_has_the_command():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["vae-lab"].partition(":")
    assert getattr(importlib.import_module(module), name) is program.main


def test_each_script_is_a_door_to_its_subcommand():
    doors = {path.stem: path for path in (CHECKOUT / "scripts").glob("*.py")}
    assert {"data" if name == "download_data" else name for name in doors} <= set(program.SUBCOMMANDS)
    for name, path in doors.items():
        module = importlib.import_module(f"vae_lab.commands.{'data' if name == 'download_data' else name}")
        assert runpy.run_path(str(path))["main"] is module.main


def test_a_second_checkout_runs_its_own_package_and_options_with_the_same_environment(tmp_path):
    for name in ("vae_lab", "conf", "scripts", "hydra_plugins"):
        shutil.copytree(CHECKOUT / name, tmp_path / "second" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path / "second")
    (tmp_path / "second" / "conf" / "prior" / "own.yaml").write_text("name: own\n_target_: vae_lab.prior.mvn.MVN\n")
    code = """
import runpy, subprocess, sys
runpy.run_path(sys.argv[1], run_name="door")
from vae_lab.config.compose import compose
cfg = compose("prior=own", "estimator=monte_carlo")
print(cfg.prior.name, cfg.paths.outputs, flush=True)
subprocess.run([sys.executable, "-c", "import vae_lab; print(vae_lab.__file__)"], check=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "second" / "scripts" / "reproduce.py")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
    )
    second = tmp_path / "second"
    told = f"own {second}/outputs\n{second}/vae_lab/__init__.py\n"
    assert done.stdout == told, done.stderr


def test_help_of_train_tells_each_option_in_a_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    page = train_help.page()
    assert all(len(line) <= 120 for line in page.splitlines())
    for axis in train_help.AXES:
        block = page.split(f"\n{axis}=\n")[1].split("\n\n")[0].splitlines()
        assert [line.split()[0] for line in block] == option_names(axis)
        assert all(len(line.split()) > 1 for line in block)
    assert re.search(r"\n  mvn +The fixed standard Gaussian N\(0, I\).\n", page)


def test_every_setting_that_help_names_is_there():
    from vae_lab.config.compose import compose_unchecked

    compose_unchecked(*(setting for setting, _ in train_help.SETTINGS if not setting.startswith("hydra")))
    for _, words in train_help.EXAMPLES[:1]:
        compose_unchecked(*words.split())


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("vae-lab re", "report reproduce"),
        ("vae-lab train prior=mv", "prior=mvn prior=mvn_tril"),
        ("vae-lab train estimator.be", "estimator.beta="),
        ("vae-lab report exp", ""),
    ],
)
def test_a_shell_completes_subcommands_and_settings(line, answer, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vae_lab", "-sc", "query=bash"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "COMP_LINE": line, "VAE_LAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == (answer, "")


def test_ui_listens_on_this_machine_alone_and_shows_trained_models():
    words = ui.server("sqlite:////store/mlflow.db", 5001)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    page = ui.address("http://127.0.0.1:5001", "1")
    assert page == "http://127.0.0.1:5001/#/experiments/1/runs?workflowType=machine_learning"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_ui_serves_a_page_on_this_machine_alone_until_it_is_told_to_end(ending, tmp_path):
    uri, port = f"sqlite:///{tmp_path}/mlflow.db", ui.free_port(None)
    experiment = open_store(uri, "vae_lab", str(tmp_path / "artifacts")).experiment_id
    words = [sys.executable, "-m", "vae_lab", "ui", f"port={port}", f"tracking.uri={uri}"]
    with (tmp_path / "log.txt").open("w") as log:
        # A test that was started in the background would hand on that Ctrl-C is not heard.
        process = subprocess.Popen(words, cwd=CHECKOUT, stdout=log, stderr=log, preexec_fn=hear_ctrl_c)
    try:
        while process.poll() is None and not listening(port):
            time.sleep(0.2)
        told = (tmp_path / "log.txt").read_text()
        assert told.startswith(f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs"), told
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=300) as page:
            assert (page.status, b"MLflow" in page.read()) == (200, True)
        assert {one.laddr.ip for one in psutil.net_connections("tcp") if one.laddr.port == port} == {"127.0.0.1"}
        process.send_signal(ending)
        assert process.wait(300) in (130, 143)
        while listening(port):  # for ever, where it left its server behind
            time.sleep(0.2)
    finally:
        process.kill()


def hear_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("port", ["0", "x", "70000"])
def test_ui_refuses_what_is_no_port(port):
    with pytest.raises(UsageError, match=f"port={port} must be a number"):
        ui.free_port(port)
