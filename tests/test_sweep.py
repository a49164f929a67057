"""Plans of sweeps, their progress lines and their tables."""

import math
import os
import time
from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus

from vae_lab.config.compose import compose_unchecked
from vae_lab.console.progress import Progress
from vae_lab.console.watch import newest_sweep, standing
from vae_lab.errors import UsageError
from vae_lab.report.format import clock
from vae_lab.report.table import cell_of, table_of
from vae_lab.study.identity import Identity
from vae_lab.study.jobs import CheckedJob
from vae_lab.study.plan import plan, to_override
from vae_lab.sweep.multirun import run_all, share_cores
from vae_lab.sweep.parent import SweepRun, swept
from vae_lab.tracking.standing import Standing
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun

STUDY = {
    "question": "which?",
    "arms": {"a": {"prior": "mvn"}, "b": {"prior": "mixture", "prior.components": 5}},
    "seeds": [0, 1],
    "metric": "test/elbo",
}


def names(jobs):
    return [job.name for job in jobs]


def test_a_study_is_arms_times_seeds():
    jobs = plan(STUDY, {"experiment": ["x"]})
    assert names(jobs) == ["a-s0", "a-s1", "b-s0", "b-s1"]
    assert jobs[3].overrides == ("prior=mixture", "prior.components=5", "experiment=x", "seed=1")
    assert jobs[3].arm == "b"


def test_the_command_line_wins_over_arms_and_seeds():
    jobs = plan(STUDY, {"seed": ["7"], "prior.components": ["9"]})
    assert names(jobs) == ["a-s7", "b-s7"]
    assert sorted(jobs[1].overrides) == ["prior.components=9", "prior=mixture", "seed=7"]


def test_comma_lists_multiply_the_arms_and_name_what_differs():
    jobs = plan(STUDY, {"latent_size": ["2", "4"], "training.epochs": ["3"]})
    assert len(jobs) == 8
    assert jobs[0].name == "a-latent_size=2-s0"
    assert {job.arm for job in jobs} == {f"{arm}-latent_size={size}" for arm in "ab" for size in (2, 4)}


def test_a_plain_multirun_is_a_product_with_seeds_innermost():
    jobs = plan(None, {"seed": ["0", "1"], "prior": ["mvn", "mixture"], "estimator": ["monte_carlo"]})
    assert names(jobs) == ["prior=mvn-s0", "prior=mvn-s1", "prior=mixture-s0", "prior=mixture-s1"]
    assert jobs[0].arm == "prior=mvn"


def test_the_short_form_lies_over_every_arm_when_asked_for_and_under_the_command_line():
    study = STUDY | {"short": {"training.epochs": 1, "prior.components": 2, "seeds": [3]}}
    assert plan(study, {}) == plan(STUDY, {})
    assert plan(study, {"short": ["false"]})[0].overrides == ("prior=mvn", "short=false", "seed=0")
    assert names(plan(study, {"short": ["True"]})) == ["a-s3", "b-s3"]  # Hydra's parser gives back Python's text
    jobs = plan(study, {"short": ["true"]})
    assert jobs[1].overrides == ("prior=mixture", "prior.components=2", "training.epochs=1", "short=true", "seed=3")
    jobs = plan(study, {"short": ["true"], "seed": ["0", "1"], "training.epochs": ["7"]})
    assert names(jobs) == ["a-s0", "a-s1", "b-s0", "b-s1"]
    assert {override for job in jobs for override in job.overrides if "epochs" in override} == {"training.epochs=7"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"prior": ["mvn", "mixture"], "seed": ["0", "1"]}, "prior=mvn,mixture"),
        ({"prior": ["mvn", "vamp"], "estimator.beta": ["1", "2"], "seed": ["0"]}, "prior=mvn,vamp estimator.beta=1,2"),
        ({"prior": ["mvn"], "seed": ["0", "1"]}, "seed=0,1"),
        ({"prior": ["mvn"]}, "sweep"),
        ({"latent_size": [str(size) for size in range(1, 99)]}, "latent_size=1,...,98"),
    ],
)
def test_a_sweep_is_called_by_what_is_swept(given, name):
    assert swept([job.overrides for job in plan(None, given)]) == name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"short": [1]}, "study.short must be a mapping"),
        ({"short": {"seed": 1}}, "study.short sets seed; seeds belong in study.short.seeds"),
        ({"short": {"seeds": []}}, r"study.short.seeds=\[\] must be a list of different seeds"),
        ({"arm": {}}, "study.arm is not a key of a study"),
        ({"arms": {}}, "study.arms must name at least one arm"),
        ({"arms": {"a": None}}, "study.arms.a must be a mapping"),
        ({"arms": {"a": {"seed": 1}}}, "study.arms.a sets seed"),
        ({"seeds": [1, 1]}, r"study.seeds=\[1, 1\] must be a list of different seeds"),
        ({"seeds": 3}, "study.seeds=3 must be a list"),
    ],
)
def test_a_study_of_another_form_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        plan(STUDY | change, {})


@pytest.mark.parametrize(
    "value",
    [3, 0.001, True, None, "relu", "a b", "it's", [200, 100], ["valid", "same"], {"class_name": "Zeros", "config": {}}],
)
def test_every_value_survives_hydras_grammar(value):
    parsed = OverridesParser.create().parse_override(to_override("+key", value))
    assert parsed.value() == value


def test_durations_read_as_clock_times():
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3725)] == ["0:00", "1:00", "1:01", "1:02:05"]


def test_progress_tells_job_epoch_elbo_and_time_left():
    progress = Progress("mixture-s1", 2, 12, 100, sweep_started=None)
    progress.first = (0.0, 10.0)
    line = progress.line(60.0, -30.0, {"val/elbo": -24.5}, now=100.0)
    assert line == "[ 3/12] mixture-s1  epoch 60.0/100  val elbo -24.50  left 1:20"


def record(arm, status="FINISHED", **metrics):
    metrics = {key.replace("_", "/", 1): value for key, value in metrics.items()}
    return SimpleNamespace(tags={"vae_lab.arm": arm}, status=status, metrics=metrics)


def test_table_gives_mean_and_standard_error_over_finished_runs():
    records = [
        record("a", test_elbo=-10.0),
        record("a", test_elbo=-12.0),
        record("a", test_elbo=-13.0),
        record("b", test_elbo=-5.0),
        record("b", "FAILED", test_elbo=-500.0),
    ]
    table = table_of(records, ["a", "b", "c"], ["test/elbo", "test/log_likelihood"])
    assert table.metrics == ("test/elbo",)
    a, b, c = table.rows
    assert a.cells["test/elbo"].mean == pytest.approx(-35 / 3)
    assert a.cells["test/elbo"].error == pytest.approx(math.sqrt(7 / 3 / 3))
    assert (b.finished, b.runs, b.cells["test/elbo"].mean) == (1, 2, -5.0)
    assert (c.runs, c.cells) == (0, {})
    assert table.lines() == [["a", "3", "-11.67 ± 0.88"], ["b", "1 of 2", "-5.00"], ["c", "0", ""]]
    assert table.markdown().splitlines()[2] == "| a | 3 | -11.67 ± 0.88 |"
    assert table.csv().splitlines()[2] == "b,1,2,False,-5.0,nan,nan,nan"


def test_standard_error_of_one_seed_is_not_a_number():
    assert math.isnan(cell_of([1.0]).error)


def checked_job(seed, evaluation):
    """A job whose identity is made up."""
    identity = Identity({"seed": seed}, {}, evaluation, {}, {})
    return CheckedJob("a", f"a-s{seed}", (f"seed={seed}",), identity, "structure", 1)


def test_each_worker_takes_a_gpu_of_its_own(tmp_path, monkeypatch):
    """The device files are made up; the locks and the environment are real."""
    from vae_lab.run import device

    monkeypatch.setattr(device, "glob", lambda pattern: ["/dev/nvidia7", "/dev/nvidia2"])  # CUDA calls them 0 and 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is put back, whatever is set below
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    taken = []
    for _ in range(3):
        monkeypatch.setattr(device, "_taken", [])  # as another process has it
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        number = device.take_gpu(tmp_path)
        taken.append((number, os.environ.get("CUDA_VISIBLE_DEVICES"), device._taken))
    assert [(number, visible) for number, visible, _ in taken] == [("0", "0"), ("1", "1"), (None, None)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert device.gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8a1c,GPU-77f0")
    assert device.gpus() == ["GPU-8a1c", "GPU-77f0"]


def test_a_job_that_was_given_a_gpu_does_not_train_without_one(monkeypatch):
    from vae_lab.run import device

    if device.found_gpus():
        pytest.skip("TensorFlow finds a GPU here")
    for given in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        device.require_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(UsageError, match="CUDA_VISIBLE_DEVICES=3 gives this job a GPU, and TensorFlow finds none"):
        device.require_gpu()


def test_where_all_is_repeated_only_runs_of_this_start_count(tmp_path):
    """Else a worker that dies would seem to have done what last week's run has."""
    places = (f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", f"tracking.artifacts={tmp_path}/artifacts")
    jobs = [checked_job(0, "one")]
    cfg = compose_unchecked(*places)
    store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
    before = TrackedRun(store, "a-s0", jobs[0].identity.tags())
    before.finish("FINISHED")
    began = int(time.time()) + 1
    for settings, counted in (((), [before.run_id]), (("sweep.repeat=all",), [])):
        parent = SweepRun(compose_unchecked(*places, *settings), None, "python train.py", jobs, began, [Standing()])
        parent.run.finish("KILLED")
        assert [record.run_id for record in parent.records()] == counted


def test_a_search_is_not_watched_as_a_sweep(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "tests", f"{tmp_path}/artifacts")
    search = TrackedRun(store, "search", {"vae_lab.kind": "sweep", "vae_lab.search": "latents"})
    search.finish("FINISHED")
    with pytest.raises(UsageError, match="holds no sweep"):
        newest_sweep(store)
    with pytest.raises(UsageError, match="is a search; its command with "):
        standing(store, search.run_id)


def test_jobs_are_launched_again_as_long_as_some_of_them_finish(tmp_path):
    """Five workers die one after the other, each with a job done: that is no reason to give up."""
    cfg = compose_unchecked(f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", f"tracking.artifacts={tmp_path}/artifacts")
    jobs = [checked_job(seed, "one") for seed in range(5)]
    parent, launched = SweepRun(cfg, None, "python train.py", jobs, 0, [Standing()] * len(jobs)), []

    def die(batch):
        launched.append(len(batch))
        if len(batch) == 1:
            return [SimpleNamespace(status=JobStatus.COMPLETED)]
        job = jobs[len(jobs) - len(batch)]
        TrackedRun(parent.store, job.name, job.identity.tags()).finish("FINISHED")
        raise OSError("a worker died")

    assert run_all(jobs, parent, 0, die) == {}
    parent.run.finish("FINISHED")
    assert launched == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(("workers", "share"), [(2, "4"), (-1, "1"), (1, None), (None, None)])
def test_workers_share_the_cores(workers, share, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "environ", {})
    share_cores(workers)
    assert os.environ.get("TF_NUM_INTRAOP_THREADS") == share


def test_a_launcher_that_cannot_start_a_job_is_given_up_after_three_tries(tmp_path):
    """As where sbatch refuses: no job is tried for ever, and each is told why."""
    cfg = compose_unchecked(f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", f"tracking.artifacts={tmp_path}/artifacts")
    jobs = [checked_job(seed, "one") for seed in (0, 1)]
    parent, launched = SweepRun(cfg, None, "python train.py", jobs, 0, [Standing()] * len(jobs)), []

    def refuse(batch):
        launched.append(len(batch))
        raise OSError("sbatch: error: invalid partition")

    failed = run_all(jobs, parent, 0, refuse)
    parent.run.finish("FAILED")
    assert launched == [2, 2, 2]
    assert {name: str(error) for name, error in failed.items()} == dict.fromkeys(
        ["a-s0", "a-s1"], "OSError: sbatch: error: invalid partition"
    )
