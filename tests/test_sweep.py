"""Plans of sweeps, their progress lines and their tables."""

import copy
import functools
import math
import os
import time
from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus

from vae_lab.config.compose import compose_unchecked, flat, plain
from vae_lab.console.progress import Progress, duration
from vae_lab.console.watch import newest_sweep, standing
from vae_lab.errors import UsageError
from vae_lab.report.table import cell_of, table_of
from vae_lab.run.device import gpus
from vae_lab.study.identity import AXES, PLACES, hashes_of, model_structure, resolve_jit, training_structure
from vae_lab.study.jobs import CheckedJob
from vae_lab.study.plan import plan, to_override
from vae_lab.sweep.multirun import run_all, share_cores
from vae_lab.sweep.parent import SweepRun
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
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3725)] == ["0:00", "1:00", "1:01", "1:02:05"]


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
    assert table.csv().splitlines()[2] == "b,1,2,-5.0,nan,nan,nan"


def test_standard_error_of_one_seed_is_not_a_number():
    assert math.isnan(cell_of([1.0]).error)


def config(**changes):
    return plain(compose_unchecked(*(f"{key}={value}" for key, value in changes.items())))


def test_identity_ignores_places_and_speed_and_sees_everything_else(monkeypatch):
    base = hashes_of(config())
    same = {
        "data.dir": "/else",
        "tracking.experiment_name": "x",
        "sweep.total": 5,
        "training.checkpoint_seconds": 1,
    }
    for key, value in same.items():
        assert hashes_of(config(**{key: value})) == base, key
    other = {
        "latent_size": 3,
        "training.epochs": 3,
        "estimator.beta": 2,
        "optimizer.beta_1": 0.5,
        "training.jit": "false",
    }
    for key, value in other.items():
        assert hashes_of(config(**{key: value}))["vae_lab.training"] != base["vae_lab.training"], key
    monkeypatch.setattr("vae_lab.data.digits.SHA256", "other pixels")
    assert hashes_of(config())["vae_lab.training"] != base["vae_lab.training"]
    monkeypatch.undo()
    monkeypatch.setattr("vae_lab.study.identity.NUMERICS_VERSION", 0)
    assert hashes_of(config())["vae_lab.training"] != base["vae_lab.training"]


@pytest.mark.parametrize("node", [*(axis for axis in AXES if axis != "data"), "optimizer", "schedule", "training"])
def test_every_setting_of_a_model_and_its_training_is_part_of_the_identity(node):
    base = config()
    for key in flat(base[node]):
        changed = copy.deepcopy(base)
        *path, leaf = key.split(".")
        functools.reduce(dict.__getitem__, path, changed[node])[leaf] = "another"
        ignored = key.startswith("facts.") or f"{node}.{key}".startswith(PLACES)
        same = hashes_of(changed)["vae_lab.training"] == hashes_of(base)["vae_lab.training"]
        assert same == ignored, key


def test_identity_separates_training_evaluation_and_seed():
    base = hashes_of(config())
    evaluated = hashes_of(config(**{"evaluation.importance_samples": 7}))
    assert evaluated["vae_lab.training"] == base["vae_lab.training"]
    assert evaluated["vae_lab.evaluation"] != base["vae_lab.evaluation"]
    seeded = hashes_of(config(seed=4))
    assert seeded["vae_lab.training"] != base["vae_lab.training"]
    assert seeded["vae_lab.group"] == base["vae_lab.group"]


def test_identity_of_training_knows_the_evaluation_that_selects():
    """Weights that are chosen by val/elbo depend on how that is taken."""
    draws = [config(**{"evaluation.samples": samples, "training.select": "best"}) for samples in (1, 2)]
    assert hashes_of(draws[0])["vae_lab.training"] != hashes_of(draws[1])["vae_lab.training"]


def test_jit_is_resolved_without_tensorflow():
    assert resolve_jit(config())
    assert resolve_jit(config(**{"training.jit": "true"}))
    if not gpus():
        assert not resolve_jit(config(data="mnist", encoder="conv"))


def test_model_structure_ignores_how_and_on_which_pixels_a_model_is_trained():
    base = model_structure(config())
    for changes in ({"estimator": "monte_carlo"}, {"binarization": "static"}, {"optimizer": "sgd"}, {"seed": 3}):
        assert model_structure(config(**changes)) == base
    for changes in (
        {"latent_size": 3},
        {"binarization": "none", "likelihood": "normal"},
        {"data": "mnist"},
        {"training.precision": "mixed_bfloat16"},
    ):
        assert model_structure(config(**changes)) != base
    grey, drawn = (config(likelihood="discretized_logistic", binarization=name) for name in ("none", "static"))
    assert model_structure(grey) != model_structure(drawn)


def test_training_structure_ignores_seed_and_constant_learning_rate_alone():
    base = training_structure(config(), 1200)
    assert training_structure(config(seed=3, **{"optimizer.learning_rate": 0.1}), 1200) == base
    for changes in (
        {"latent_size": 3},
        {"training.batch_size": 10},
        {"estimator.beta": 2},
        {"prior": "mixture", "estimator": "monte_carlo"},
        {"training.loss_reduction": "sum"},
        {"training.normalize_gradients": "true"},
    ):
        assert training_structure(config(**changes), 1200) != base
    assert training_structure(config(), 1000) != base
    falling = {"schedule": "cosine"}
    assert training_structure(config(**falling), 1200) != training_structure(
        config(**falling, **{"optimizer.learning_rate": 0.1}), 1200
    )
    longer = config(**falling, **{"training.epochs": 50})
    assert training_structure(longer, 1200) != training_structure(config(**falling), 1200)


def test_each_worker_takes_a_gpu_of_its_own(tmp_path, monkeypatch):
    """The device files are made up; the locks and the environment are real."""
    from vae_lab.run import device

    monkeypatch.setattr(device, "glob", lambda pattern: ["/dev/nvidia10", "/dev/nvidia2"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    taken = []
    for _ in range(3):
        monkeypatch.setattr(device, "_taken", [])  # as another process has it
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        number = device.take_gpu(tmp_path)
        taken.append((number, os.environ.get("CUDA_VISIBLE_DEVICES"), device._taken))
    assert [(number, visible) for number, visible, _ in taken] == [("2", "2"), ("10", "10"), (None, None)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert device.gpus() == []


def test_where_all_is_repeated_only_runs_of_this_start_count(tmp_path):
    """Else a worker that dies would seem to have done what last week's run has."""
    places = (f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", f"tracking.artifacts={tmp_path}/artifacts")
    jobs = [CheckedJob("a", "a-s0", ("seed=0",), "identity", "structure", 1)]
    cfg = compose_unchecked(*places)
    store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
    before = TrackedRun(store, "a-s0", {"vae_lab.evaluation": "identity"})
    before.finish("FINISHED")
    began = int(time.time()) + 1
    for settings, counted in (((), [before.run_id]), (("sweep.repeat=all",), [])):
        parent = SweepRun(compose_unchecked(*places, *settings), None, "python train.py", jobs, began)
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
    jobs = [CheckedJob("a", f"a-s{seed}", (f"seed={seed}",), f"identity {seed}", "one", 1) for seed in range(5)]
    parent, launched = SweepRun(cfg, None, "python train.py", jobs, 0), []

    def die(batch):
        launched.append(len(batch))
        if len(batch) == 1:
            return [SimpleNamespace(status=JobStatus.COMPLETED)]
        job = jobs[len(jobs) - len(batch)]
        TrackedRun(parent.store, job.name, {"vae_lab.evaluation": job.evaluation}).finish("FINISHED")
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
    jobs = [CheckedJob("a", f"a-s{seed}", (f"seed={seed}",), f"identity {seed}", "structure", 1) for seed in (0, 1)]
    parent, launched = SweepRun(cfg, None, "python train.py", jobs, 0), []

    def refuse(batch):
        launched.append(len(batch))
        raise OSError("sbatch: error: invalid partition")

    failed = run_all(jobs, parent, 0, refuse)
    parent.run.finish("FAILED")
    assert launched == [2, 2, 2]
    assert {name: str(error) for name, error in failed.items()} == dict.fromkeys(
        ["a-s0", "a-s1"], "OSError: sbatch: error: invalid partition"
    )
