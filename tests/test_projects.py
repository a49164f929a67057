"""A project of one's own, as `vae-lab new` writes it, outside this checkout."""

import os
import re
import subprocess
import sys

import pytest
from conftest import CHECKOUT

from vae_lab.commands import new, report, reproduce
from vae_lab.config import compose, options
from vae_lab.config.checks import check, signatures
from vae_lab.config.project import use_project
from vae_lab.config.settings import settings_of
from vae_lab.errors import UsageError
from vae_lab.study.experiments import experiment_names, read_experiment
from vae_lab.study.identity import identity_of
from vae_lab.tracking import environment

TINY = ["encoder.hidden=[8]", "decoder.hidden=[8]", "latent_size=2", "training.epochs=1", "training.jit=false"]
QUICK = ["evaluation.importance_samples=2", "evaluation.pictures=[]"]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A fresh project, and this process within it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.delenv("VAE_LAB_HOME")
    assert new.main(["my-toy"]) == 0
    monkeypatch.chdir(tmp_path / "my-toy")
    signatures.source.cache_clear()  # which knows modules by their names, and each project here has the same
    return tmp_path / "my-toy"


def vae_lab(folder, *words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "vae_lab", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["taken", "class", "1st", "größe", "vae-lab"])
def test_new_refuses_what_is_there_and_what_is_no_name(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert new.main([name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line
    assert [path.name for path in tmp_path.rglob("*")] == ["taken"]


def test_an_own_option_is_composed_listed_and_checked(toy):
    cfg = compose.compose("prior=student", "estimator=monte_carlo")
    assert cfg.prior._target_ == "my_toy.prior.student.Student"
    assert {"student", "mvn"} <= set(options.option_names("prior"))
    assert options.stated_facts("prior", "student") == {}
    assert compose.home() == str(toy)
    with pytest.raises(UsageError, match="does not have with prior=student"):
        compose.compose("prior=student")
    with pytest.raises(UsageError, match=r"prior\.fredom: Student takes no such setting"):
        compose.compose("prior=student", "estimator=monte_carlo", "+prior.fredom=1")


def test_a_project_is_found_from_folders_below_it_and_by_the_variable(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(toy / "conf" / "prior")
    assert use_project().root == toy
    monkeypatch.chdir(tmp_path)
    assert use_project() is None
    monkeypatch.setenv("VAE_LAB_PROJECT", str(toy))
    assert use_project().root == toy
    assert str(toy) in os.environ["PYTHONPATH"].split(os.pathsep)


def test_an_edit_of_an_own_prior_makes_its_runs_other_runs_and_no_others(toy):
    assert "student_or_mvn" in experiment_names()

    def identities():
        return {job.arm: job.evaluation for job in read_experiment("student_or_mvn").study.jobs}

    before = identities()
    file = toy / "my_toy" / "prior" / "student.py"
    file.write_text(file.read_text().replace('"""p(z)', '"""The density p(z)'))
    assert identities() == before
    file.write_text(file.read_text().replace("0.0, scale", "0.1, scale"))
    after = identities()
    assert (after["mvn"], after["student"] == before["student"]) == (before["mvn"], False)
    cfg = compose.compose("prior=student", "estimator=monte_carlo")
    assert "my_toy/prior/student.py" in identity_of(settings_of(cfg)).training_code


def test_an_own_option_with_a_built_in_name_is_refused(toy):
    (toy / "conf" / "prior" / "mixture.yaml").write_text("name: mixture\n_target_: my_toy.prior.student.Student\n")
    with pytest.raises(UsageError, match="prior/mixture is a built-in option; give your own another name"):
        compose.compose_unchecked()


WRONG = {
    "_target_: my_toy.prior.student.Student\n": ["student.yaml", "has no name"],
    "name: student\n": ["student.yaml", "has no _target_"],
    "name: other\n_target_: my_toy.prior.student.Student\n": ["student.yaml", "name: student"],
    "name: student\n_target_: my_toy.prior.student.Nobody\nfreedom: 5.0\n": ["Nobody", "no such class"],
    "name: student\n_target_: my_toy.prior.nothing.Student\n": ["my_toy.prior.nothing", "no such file"],
}


@pytest.mark.parametrize("content", WRONG)
def test_a_wrong_file_of_an_own_option_is_told_in_a_line(content, toy):
    (toy / "conf" / "prior" / "student.yaml").write_text(content)
    with pytest.raises(UsageError) as told:
        check(compose.compose_unchecked("prior=student", "estimator=monte_carlo"))
    assert len(str(told.value).splitlines()) == 1
    for word in WRONG[content]:
        assert word in str(told.value)


def test_a_module_that_is_no_python_is_told_in_a_line(toy):
    (toy / "my_toy" / "prior" / "student.py").write_text("class Student(:\n")
    with pytest.raises(UsageError, match=r"student\.py, line 1: .*no Python"):
        check(compose.compose_unchecked("prior=student", "estimator=monte_carlo"))


def test_what_a_class_needs_and_does_not_get_is_told_in_a_line(toy):
    file = toy / "my_toy" / "prior" / "student.py"
    written = file.read_text()
    file.write_text(written.replace("freedom):", "freedom, tails, floor=1.0, *, least=0.0):"))
    with pytest.raises(UsageError) as told:
        check(compose.compose_unchecked("prior=student", "estimator=monte_carlo"))
    wanted = "prior=student: Student needs tails, and its YAML gives none; write it there, as in tails: VALUE"
    assert str(told.value) == wanted
    signatures._tree.cache_clear()
    file.write_text(written.replace("latent_shape, freedom):", "shape, freedom):"))
    with pytest.raises(UsageError, match="Student must take latent_shape, with which every prior is made"):
        check(compose.compose_unchecked("prior=student", "estimator=monte_carlo"))


def test_the_user_s_own_commit_is_recorded_beside_ours(toy):
    def git(*words):
        author = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        done = subprocess.run(["git", *author, *words], cwd=toy, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def own():
        environment.environment.cache_clear()
        return {key: value for key, value in environment.environment().items() if key.startswith("project.")}

    assert own() == {}
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    (toy / "notes.md").write_text("a page makes no run doubtful")
    committed = own()
    assert committed == {"project.git.commit": git("rev-parse", "HEAD"), "project.git.dirty": "false"}
    (toy / "conf" / "prior" / "wider.yaml").write_text("name: wider\n_target_: my_toy.prior.student.Student\n")
    assert environment.differences(committed, own()) == ["changes of the project that no commit holds false -> true"]
    environment.environment.cache_clear()


def test_an_experiment_of_another_folder_of_options_is_told_of_projects(toy, tmp_path, capsys):
    for command, words in ((report, ["experiment=mine"]), (reproduce, ["mine"])):
        assert command.main(words) == 2
        *_, line = capsys.readouterr().err.splitlines()
        assert "--config-dir is known here within a project: see `vae-lab new`" in line
        assert command.main([*words, f"--config-dir={tmp_path}"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "put the files into the conf/ of a project" in line


@pytest.mark.slow
def test_a_project_trains_reports_lists_and_trains_anew_what_was_edited(toy, tmp_path):
    words = ["train", "experiment=student_or_mvn", "seed=0", *TINY, *QUICK]
    printed = vae_lab(toy, *words, "hydra/launcher=workers", "hydra.launcher.n_jobs=2")
    assert "2 of 2 jobs done" in printed
    assert (toy / "outputs" / "mlflow.db").is_file()
    sweep = re.search(r"^sweep: (\w+)$", printed, re.MULTILINE).group(1)
    assert "student" in vae_lab(toy / "conf", "report", f"sweep={sweep}")
    assert "student_or_mvn" in vae_lab(toy, "reproduce", "--list")
    file = toy / "my_toy" / "prior" / "student.py"
    file.write_text(file.read_text().replace("0.0, scale", "0.1, scale"))
    planned = vae_lab(toy, *words, "sweep.plan=true")
    assert "1 done, 1 to do" in planned
    assert "my_toy/prior/student.py" in re.sub(r"[│┃\s]+", " ", planned).replace(" ", "")
