"""The commands, run as a person runs them, and MLflow read back."""

import json
import re
import signal
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import yaml
from conftest import CHECKOUT
from mutations import copy_of_the_product

import vae_lab
from vae_lab.tracking.artifacts import fetch_artifact
from vae_lab.tracking.records import children, read_run, runs_tagged
from vae_lab.tracking.store import open_store

TINY = ["encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "training.epochs=2", "training.jit=false"]
QUICK = ["evaluation.importance_samples=5", "evaluation.images_every=1"]


def command(home, *words, code=0):
    done = subprocess.run(
        [sys.executable, f"scripts/{words[0]}.py", *words[1:]],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "VAE_LAB_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code == 2 else done.stdout


def store_in(home):
    return open_store(f"sqlite:///{home}/outputs/mlflow.db", "vae_lab")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A 2 x 2 multirun on digits: (home, what it printed, its parent run, its jobs)."""
    home = tmp_path_factory.mktemp("sweep")
    printed = command(home, "train", "-m", "prior=mvn,mixture", "estimator=monte_carlo", "seed=0,1", *TINY, *QUICK)
    parent = re.search(r"^sweep: (\w+)$", printed, re.MULTILINE).group(1)
    return home, printed, read_run(store_in(home), parent), children(store_in(home), parent)


def artifact(record, name, home, tmp_path):
    return fetch_artifact(store_in(home), record.run_id, name, str(tmp_path))


@pytest.mark.slow
def test_multirun_is_a_parent_with_its_jobs_as_children(sweep):
    _, printed, parent, jobs = sweep
    assert parent.status == "FINISHED"
    assert (parent.name, parent.tags["vae_lab.kind"]) == ("prior=mvn,mixture", "sweep")
    assert [job.name for job in jobs] == ["prior=mvn-s0", "prior=mvn-s1", "prior=mixture-s0", "prior=mixture-s1"]
    assert {job.status for job in jobs} == {"FINISHED"}
    assert "4 of 4 jobs done" in printed
    assert "[4/4] prior=mixture-s1  done" in printed
    assert f"mlflow ui --workers 1 --backend-store-uri sqlite:///{sweep[0]}/outputs/mlflow.db" in printed


@pytest.mark.slow
def test_parent_holds_the_table_that_was_printed(sweep, tmp_path):
    home, printed, parent, jobs = sweep
    table = artifact(parent, "table.md", home, tmp_path).read_text()
    values = [job.metrics["test/elbo"] for job in jobs[:2]]
    cell = f"{np.mean(values):.2f} ± {np.std(values, ddof=1) / np.sqrt(2):.2f}"
    assert table.splitlines()[2].startswith(f"| prior=mvn | 2 | {cell} |")
    assert cell in printed


@pytest.mark.slow
def test_run_holds_config_params_tags_and_data(sweep, tmp_path):
    home, _, parent, jobs = sweep
    job = jobs[3]
    cfg = yaml.safe_load(artifact(job, "config.yaml", home, tmp_path).read_text())
    assert (cfg["prior"]["name"], cfg["seed"], cfg["latent_size"]) == ("mixture", 1, 2)
    assert (job.params["prior.components"], job.params["encoder.hidden"]) == ("10", "[16]")
    assert job.tags["option.prior"] == "mixture"
    assert "prior=mixture" in json.loads(job.tags["vae_lab.overrides"])
    assert job.tags["vae_lab.sweep"] == parent.run_id
    assert job.tags["vae_lab.arm"] == "prior=mixture"
    assert re.fullmatch(r"[0-9a-f]{40}", job.tags["mlflow.source.git.commit"])
    assert job.tags["git.dirty"] in ("true", "false")
    assert {"version.tensorflow", "version.keras", "machine.kind", "machine.cores"} <= set(job.tags)
    dataset = store_in(home).client.get_run(job.run_id).inputs.dataset_inputs[0].dataset
    assert job.tags["vae_lab.data_sha256"].startswith(dataset.digest)
    assert jobs[2].tags["vae_lab.group"] == job.tags["vae_lab.group"] != jobs[1].tags["vae_lab.group"]
    assert len({other.tags["vae_lab.training"] for other in jobs}) == 4


@pytest.mark.slow
def test_metrics_by_epoch_and_at_the_end(sweep):
    home, _, _, jobs = sweep
    client = store_in(home).client
    for job in jobs:
        for key in ("running/elbo", "running/loss", "val/elbo", "val/rate", "val/distortion"):
            assert [point.step for point in client.get_metric_history(job.run_id, key)] == [1, 2], key
        for split in ("train", "test"):
            found = [job.metrics[f"{split}/{name}"] for name in ("elbo", "rate", "distortion")]
            assert found[0] == pytest.approx(-(found[1] + found[2]))
        assert job.metrics["test/log_likelihood"] > job.metrics["test/elbo"]
        assert job.metrics["test/bits_per_dim"] > 0
        assert 0 <= job.metrics["test/active_units"] <= 2


@pytest.mark.slow
def test_pictures_are_logged_by_epoch(sweep):
    home, _, _, jobs = sweep
    frames = [file.path for file in store_in(home).client.list_artifacts(jobs[0].run_id, "images")]
    for kind in ("reconstructions", "prior_samples"):
        steps = {re.search(r"step.(\d+)", path).group(1) for path in frames if kind in path and path.endswith(".png")}
        assert steps == {"0", "1", "2"}, frames


@pytest.mark.slow
def test_values_of_each_image_average_to_the_metrics(sweep, tmp_path):
    home, _, _, jobs = sweep
    with np.load(artifact(jobs[0], "evaluation/test.npz", home, tmp_path), allow_pickle=False) as values:
        for name in ("elbo", "rate", "distortion", "log_likelihood"):
            assert values[name].shape == (360,)
            assert values[name].mean() == pytest.approx(jobs[0].metrics[f"test/{name}"], rel=1e-12)


@pytest.mark.slow
def test_loaded_run_recomputes_its_metrics(sweep):
    home, _, _, jobs = sweep
    loaded = [vae_lab.load_run(job.run_id, tracking_uri=store_in(home).uri) for job in jobs[2:]]
    for run, job in zip(loaded, jobs[2:], strict=True):  # both at once: they share nothing
        for key, value in run.metrics().items():
            assert value == pytest.approx(job.metrics[key], rel=1e-6), key


@pytest.mark.slow
def test_evaluate_command_recomputes_and_reevaluates(sweep):
    home, _, _, jobs = sweep
    uri = f"tracking.uri={store_in(home).uri}"
    printed = command(home, "evaluate", f"run={jobs[0].run_id}", uri)
    assert f"{jobs[0].metrics['test/log_likelihood']:.6f}" in printed
    _, _, parent, _ = sweep
    for words, message in (
        ([f"run={jobs[0].run_id}", uri, "splits=valid"], "valid"),
        (["run=nonsense", uri], "run=nonsense is not in"),
        ([f"run={parent.run_id}", uri], "it is a sweep, whose jobs are runs; name a FINISHED run"),
        ([f"run={jobs[0].run_id}", uri, "latent_size=3"], "latent_size=3 would make another run of it"),
        ([f"run={jobs[0].run_id}", "tracking.uri=sqlite:////nowhere/mlflow.db"], "there is no such database"),
    ):
        assert message in command(home, "evaluate", *words, code=2)


@pytest.mark.slow
def test_evaluate_command_with_other_settings_makes_a_run_of_its_own(sweep, tmp_path):
    """By the evaluation's identity: of the same training, with values by image, and once."""
    home, _, _, jobs = sweep
    words = ["evaluate", f"run={jobs[0].run_id}", f"tracking.uri={store_in(home).uri}", "splits=val"]
    words += ["evaluation.importance_samples=3", "evaluation.gradient_draws=2"]
    printed = [command(home, *words) for _ in range(2)]
    same = runs_tagged(store_in(home), "vae_lab.training", jobs[0].tags["vae_lab.training"])
    (new,) = [run for run in same if run.tags["vae_lab.evaluation"] != jobs[0].tags["vae_lab.evaluation"]]
    assert (new.status, new.trained_by) == ("FINISHED", jobs[0].run_id)
    assert new.metrics["test/elbo"] == pytest.approx(jobs[0].metrics["test/elbo"], rel=1e-6)
    assert "gradient/encoder/variance" in new.metrics
    assert "test/log_likelihood" not in new.metrics
    with np.load(artifact(new, "evaluation/val.npz", home, tmp_path), allow_pickle=False) as values:
        assert values["log_likelihood"].mean() == pytest.approx(new.metrics["val/log_likelihood"], rel=1e-12)
    assert all(f"{new.metrics['val/log_likelihood']:.6f}" in text for text in printed)


@pytest.mark.slow
def test_the_same_command_again_gives_bitwise_the_same_metrics(sweep):
    home, _, _, jobs = sweep
    words = ["train", "prior=mixture", "estimator=monte_carlo", "seed=1", *TINY, *QUICK]
    assert "done before" in command(home, *words)
    command(home, *words, "sweep.repeat=all")
    newest = store_in(home).client.search_runs(["1"], order_by=["attributes.start_time DESC"], max_results=1)[0]
    assert newest.data.tags["vae_lab.evaluation"] == jobs[3].tags["vae_lab.evaluation"]
    again = {key: value for key, value in newest.data.metrics.items() if not key.startswith("perf/")}
    assert again == {key: value for key, value in jobs[3].metrics.items() if not key.startswith("perf/")}


@pytest.mark.slow
def test_a_failed_job_is_told_and_the_others_go_on(tmp_path):
    words = ["optimizer=sgd", "optimizer.learning_rate=1e-4,1e30,2e-4", *TINY, *QUICK]
    printed = command(tmp_path, "train", "-m", *words, code=1)
    assert "1 of 3 jobs failed" in printed
    last = printed.strip().splitlines()[-1]
    assert last.startswith("  optimizer.learning_rate=1e+30-s0: NonFiniteLoss: the loss is not finite at step")
    store = store_in(tmp_path)
    parent = re.search(r"^sweep: (\w+)$", printed, re.MULTILINE).group(1)
    jobs = children(store, parent)
    assert [job.status for job in jobs] == ["FINISHED", "FAILED", "FINISHED"]
    assert read_run(store, parent).status == "FAILED"
    again = command(tmp_path, "train", "-m", *words, "sweep.plan=true")
    assert [again.count(word) for word in ("│ finished", "│ failed", "2 done, 1 to do")] == [2, 1, 1]
    again = command(tmp_path, "train", "-m", *words, code=1)
    assert "2 of them are done already, 1 to do" in again
    assert f"sweep: {parent}" in again
    assert [job.status for job in children(store, parent)] == ["FINISHED", "FAILED", "FINISHED", "FAILED"]
    watched = command(tmp_path, "watch", "once=true")
    assert "FAILED  2 done  1 failed" in watched
    trace = fetch_artifact(store, jobs[1].run_id, "error.txt", str(tmp_path)).read_text()
    assert "Traceback" in trace
    assert "NonFiniteLoss" in trace


@pytest.mark.slow
def test_a_sweep_in_which_everything_fails_ends_early(tmp_path):
    words = ["optimizer=sgd", "optimizer.learning_rate=1e30", "seed=0,1,2,3", "sweep.max_failures=2", *TINY, *QUICK]
    printed = command(tmp_path, "train", "-m", *words, code=1)
    assert printed.count("NonFiniteLoss: the loss is not finite") == 4  # as they happen, and at the end
    assert printed.count("Skipped: 2 jobs have failed, and sweep.max_failures=2") == 2


@pytest.mark.slow
def test_two_starts_of_one_sweep_do_every_job_once(tmp_path):
    words = ["train", "-m", "seed=0,1,2,3", *TINY, *QUICK]
    with ThreadPoolExecutor() as pool:
        printed = list(pool.map(lambda _: command(tmp_path, *words), range(2)))
    assert all("4 of 4 jobs done" in text for text in printed)
    store = store_in(tmp_path)
    runs = store.client.search_runs([store.experiment_id], "tags.`vae_lab.kind` = 'run'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 4


@pytest.mark.slow
def test_two_workers_share_a_sweep(tmp_path):
    words = ["train", "-m", "seed=0,1,2,3", *TINY, *QUICK, "hydra/launcher=workers", "hydra.launcher.n_jobs=2"]
    assert "4 of 4 jobs done" in command(tmp_path, *words)
    store = store_in(tmp_path)
    runs = store.client.search_runs([store.experiment_id], "tags.`vae_lab.kind` = 'run'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert len({run.data.tags["vae_lab.process"] for run in runs}) <= 2  # which are used again


@pytest.mark.slow
def test_arms_that_become_one_run_are_an_error(tmp_path):
    printed = command(
        tmp_path, "train", "experiment=quickstart", "estimator=monte_carlo", "prior=mvn", "seed=0", code=2
    )
    assert "jobs analytic-static-s0 and sampled-static-s0 are the same run" in printed


def test_installed_package_finds_its_configs_and_its_sweeper(tmp_path):
    """A wheel, unpacked elsewhere: conf/ is inside it, and its command finds it."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-m", "vae_lab", "train", "experiment=quickstart", "prior=mixture", "seed=0"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "site"), "VAE_LAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "estimator=analytic_kl needs KL(posterior, prior) in closed form" in done.stderr


STUDENT = """
\"\"\"Student's t prior.\"\"\"

import keras
import tensorflow_probability as tfp

tfd = tfp.distributions


class Student(keras.layers.Layer):
    \"\"\"p(z) = prod_i t(z_i), with a learned scale.\"\"\"

    def __init__(self, latent_shape, freedom):
        super().__init__(name="prior")
        self.freedom = freedom
        self.raw_scale = self.add_weight(shape=latent_shape, initializer="zeros", name="raw_scale")

    def distribution(self, posterior_of):
        scale = keras.ops.exp(self.raw_scale.value)
        return tfd.Independent(tfd.StudentT(self.freedom, 0.0, scale), len(self.raw_scale.shape))
"""


@pytest.mark.slow
def test_a_prior_is_added_as_the_readme_says(tmp_path):
    """Two files in a copy of the product: the command trains with it, and the legal pairs hold it."""
    copy_of_the_product(tmp_path)
    (tmp_path / "vae_lab" / "prior" / "student.py").write_text(STUDENT.lstrip())
    (tmp_path / "conf" / "prior" / "student.yaml").write_text(
        "# Student's t.\nname: student\n_target_: vae_lab.prior.student.Student\nfreedom: 5.0\n"
    )
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "VAE_LAB_HOME": str(tmp_path)}
    for words, expected in (
        (["scripts/train.py", "prior=student", "estimator=monte_carlo", *TINY, *QUICK], "done in"),
        (["scripts/train.py", "prior=student"], "does not have with prior=student"),
    ):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert expected in done.stdout + done.stderr


def test_a_study_is_a_file_as_the_readme_says(tmp_path):
    copy_of_the_product(tmp_path)
    text = (CHECKOUT / "README.md").read_text()
    name, block = re.search(r"This is a whole one, `(\w+\.yaml)`:\n\n((?:    .*\n|\n)+)", text).groups()
    (tmp_path / "conf" / "experiment" / name).write_text(
        "".join(line[4:] if line.strip() else line for line in block.splitlines(True))
    )
    command_line = re.search(r"`python (scripts/train\.py experiment=\w+)` runs it", text).group(1)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "VAE_LAB_HOME": str(tmp_path)}
    planned = subprocess.run(
        [sys.executable, *command_line.split(), "sweep.plan=true"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "0 done, 6 to do" in planned.stdout, planned.stdout + planned.stderr
    assert not list(tmp_path.rglob("mlflow.db"))


@pytest.mark.slow
def test_the_plan_of_a_single_run_starts_nothing_and_the_run_says_where_it_is(tmp_path):
    assert "0 done, 1 to do" in command(tmp_path, "train", *TINY, *QUICK, "sweep.plan=true")
    assert not list(tmp_path.rglob("mlflow.db"))
    printed = command(tmp_path, "train", *TINY, *QUICK)
    run_id = re.search(r"^run: (\w+)$", printed, re.MULTILINE).group(1)
    assert "mlflow ui" in printed
    (found,) = store_in(tmp_path).client.search_runs([store_in(tmp_path).experiment_id])
    assert (found.info.run_id, found.info.status) == (run_id, "FINISHED")
    again = command(tmp_path, "train", *TINY, *QUICK)
    assert "done before" in again
    assert f"run: {run_id}" in again
    planned = command(tmp_path, "train", *TINY, *QUICK, "sweep.plan=true")
    assert run_id in planned
    assert "1 done, 0 to do" in planned


def test_a_home_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    assert "VAE_LAB_HOME" in command(tmp_path / "file", "train", code=2)


def started(home, *words):
    """scripts/train.py, running."""
    return subprocess.Popen(
        [sys.executable, "scripts/train.py", *words],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "VAE_LAB_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_run_that_is_told_to_stop_is_killed(tmp_path):
    with started(tmp_path, *TINY[:3], *QUICK, "training.jit=false", "training.epochs=100000") as process:
        for line in process.stdout:
            if " epoch " in line:
                process.terminate()
                break
        process.communicate(timeout=60)
    assert process.returncode == 143
    store = store_in(tmp_path)
    (found,) = store.client.search_runs([store.experiment_id])
    assert found.info.status == "KILLED"
    assert "0 dead runs closed, 0 run" in command(tmp_path, "doctor")


@pytest.mark.slow
def test_an_interrupted_sweep_says_what_is_done(tmp_path):
    """Ctrl-C in the second job: the table of the first, true statuses, exit code 130 and no traceback."""
    with started(tmp_path, "-m", "seed=0,1,2", "training.epochs=2,100000", *TINY[:3], *QUICK) as process:
        printed = ""
        for line in process.stdout:
            printed += line
            if "100000" in line and " epoch " in line:
                process.send_signal(signal.SIGINT)
                break
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in rest
    assert "3 of 6 jobs done" in rest
    assert "Traceback" not in errors
    parent = re.search(r"^sweep: (\w+)$", rest, re.MULTILINE).group(1)
    store = store_in(tmp_path)
    assert [job.status for job in children(store, parent)] == ["FINISHED"] * 3 + ["KILLED"]
    assert read_run(store, parent).status == "KILLED"
