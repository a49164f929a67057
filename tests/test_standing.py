"""What is done, what is like it, what is taken over: by identity, in this process and on a real store."""

import os
import re
import signal
import time

import numpy as np
import pytest
from conftest import CUT_OFF
from hydra.core.utils import JobStatus

from vae_lab.config.compose import compose, compose_unchecked
from vae_lab.config.settings import settings_of
from vae_lab.errors import UsageError
from vae_lab.report.report import gather
from vae_lab.run import job as job_module
from vae_lab.run.job import run_job
from vae_lab.run.loaded import load_run
from vae_lab.study import jobs as jobs_module
from vae_lab.study.experiments import read_experiment
from vae_lab.study.identity import identity_of
from vae_lab.study.jobs import checked_plan
from vae_lab.study.plan import plan
from vae_lab.sweep import multirun
from vae_lab.sweep.parent import SweepRun
from vae_lab.tracking.records import ADOPTED_CODE, metric_history, read_run, runs_tagged
from vae_lab.tracking.standing import standings, standings_in
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun

TINY = (*CUT_OFF, "evaluation.pictures=false")


def store_of(cfg):
    return open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)


def runs_in(store):
    return runs_tagged(store, "vae_lab.kind", "run")


def cut_after(step):
    """Tells the job's process to stop once so many steps are done."""

    def reporting(sweep, epochs, progress):
        def on_progress(result, metrics):
            progress(result, metrics)
            if result.step >= step:
                os.kill(os.getpid(), signal.SIGINT)

        return on_progress

    return reporting


@pytest.fixture
def in_groups(monkeypatch):
    """Steps in groups of five: an epoch has 12, so that a run can be cut within one."""
    from vae_lab.training import Trainer

    monkeypatch.setattr(Trainer, "_group", lambda self: 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "left_out"), [("importance_samples=7", False), ("samples=2", True)], ids=["K", "samples"]
)
def test_a_run_that_was_cut_off_and_is_asked_for_with_another_evaluation_goes_on(
    own_home, in_groups, change, left_out, request, capsys
):
    """It ends as one that was left alone, each row once; curves of validation only where they are of the same draws."""
    name = request.node.callspec.id
    first = compose(*TINY, f"tracking.experiment_name=other-{name}")
    with pytest.raises(KeyboardInterrupt):
        run_job(first, [], {}, cut_after(55))  # in the fifth epoch
    changed = (*TINY, f"evaluation.{change}")
    second = compose(*changed, f"tracking.experiment_name=other-{name}")
    run_job(second, [], {})
    alone = compose(*changed, f"tracking.experiment_name=alone-{name}")
    run_job(alone, [], {})
    cut, done = runs_in(store_of(second))
    (whole,) = runs_in(store_of(alone))
    assert [cut.status, done.status] == ["KILLED", "FINISHED"]
    assert done.run_id != cut.run_id
    measured = [{k: v for k, v in run.metrics.items() if not k.startswith("perf/")} for run in (done, whole)]
    assert measured[0] == measured[1]
    for key in ("running/elbo", "running/loss", "val/elbo"):
        points = store_of(second).client.get_metric_history(done.run_id, key)
        assert len({point.step for point in points}) == len(points)
        found = metric_history(store_of(second), [done.run_id], key)[done.run_id]
        expected = metric_history(store_of(alone), [whole.run_id], key)[whole.run_id]
        if key == "val/elbo" and left_out:
            assert list(found) == [5, 6]
            assert found == {step: expected[step] for step in (5, 6)}
        else:
            assert found == expected
    frames = [
        sorted(entry.path.rsplit("+timestamp", 1)[0] for entry in store.client.list_artifacts(run.run_id, "images"))
        for store, run in ((store_of(second), done), (store_of(alone), whole))
    ]
    assert frames[0] == frames[1]


@pytest.mark.slow
def test_a_run_goes_on_where_only_places_and_pictures_are_others(own_home, in_groups):
    places = compose(*TINY, "tracking.experiment_name=places")
    with pytest.raises(KeyboardInterrupt):
        run_job(places, [], {}, cut_after(30))
    others = ("evaluation.images_every=0", "training.checkpoint_seconds=3", "data.dir=null")
    run_job(compose(*TINY, *others, "tracking.experiment_name=places"), [], {})
    (run,) = runs_in(store_of(places))
    assert run.status == "FINISHED"
    assert run.params["evaluation.images_every"] == "2"


@pytest.mark.slow
def test_a_part_that_was_edited_after_a_kill_is_not_mixed_with_what_was(own_home, in_groups, monkeypatch, caplog):
    """The job is another run, says so, and the checkpoint is kept."""
    cfg = compose(*TINY, "tracking.experiment_name=edited")
    with pytest.raises(KeyboardInterrupt):
        run_job(cfg, [], {}, cut_after(30))
    (cut,) = runs_in(store_of(cfg))
    closure = jobs_module.Sources.closure
    edit = {"vae_lab/prior/mvn.py": "edited"}
    monkeypatch.setattr("vae_lab.study.code.Sources.closure", lambda *a, **k: closure(*a, **k) | edit)
    caplog.set_level("INFO", logger="vae_lab")
    run_job(cfg, [], {})
    told = f"starts  (as run {cut.run_id[:8]}, but for code: vae_lab/prior/mvn.py (which was KILLED))"
    assert any(told in record.message for record in caplog.records)
    assert [run.status for run in runs_in(store_of(cfg))] == ["KILLED", "FINISHED"]
    monkeypatch.undo()
    back = load_run(cut.run_id, tracking_uri=cfg.tracking.uri)
    assert (back.epoch, back.changed) == (2, [])


@pytest.mark.slow
def test_a_finished_run_of_other_code_is_told_adopted_and_evaluated(own_home, monkeypatch, capsys):
    cfg = compose(*TINY, "tracking.experiment_name=refactored")
    value = run_job(cfg, [], {})
    (old,) = runs_in(store_of(cfg))
    closure = jobs_module.Sources.closure
    edit = {"vae_lab/training.py": "refactored"}
    monkeypatch.setattr("vae_lab.study.code.Sources.closure", lambda *a, **k: closure(*a, **k) | edit)
    run_job(compose(*TINY, "tracking.experiment_name=refactored", "sweep.plan=true"), [], {})
    assert "code: vae_lab/training.py" in " ".join(capsys.readouterr().out.split())
    accepting = compose(*TINY, "tracking.experiment_name=refactored", "sweep.accept=code")
    assert run_job(accepting, [], {}) == value
    assert f"adopted run {old.run_id[:8]}" in capsys.readouterr().out
    assert run_job(cfg, [], {}) == value  # from now on, without saying so
    more = compose(*TINY, "evaluation.importance_samples=9", "tracking.experiment_name=refactored")
    run_job(more, [], {})
    trained, evaluated = runs_in(store_of(cfg))
    assert evaluated.tags["vae_lab.trained_by"] == trained.run_id == old.run_id
    assert "running/elbo" not in evaluated.metrics
    # What other code made stays told where it is evaluated, and where that is again.
    assert evaluated.tags[ADOPTED_CODE] == trained.tags[ADOPTED_CODE] == "vae_lab/training.py"
    monkeypatch.undo()
    run_job(more, [], {})
    assert ADOPTED_CODE not in runs_in(store_of(cfg))[-1].tags  # weights of the code that is asked for


@pytest.mark.slow
def test_select_best_reads_the_same_for_every_reader(own_home):
    spoiled = ("schedule=piecewise", "schedule.epochs=[3]", "schedule.factors=[1.0,5000.0]", "training.select=best")
    cfg = compose(*TINY, *spoiled, "tracking.experiment_name=readers")
    value = run_job(cfg, [], {})
    store = store_of(cfg)
    (run,) = runs_in(store)
    curve = metric_history(store, [run.run_id], "val/elbo")[run.run_id]
    assert max(curve, key=curve.get) == int(run.tags["vae_lab.epoch"]) == 3
    assert value == run.metrics["val/elbo"] == curve[3] > curve[6]  # Hydra, reports and searches, MLflow's table
    assert read_run(store, run.run_id).metrics["val/elbo"] == curve[3]
    assert load_run(run.run_id, tracking_uri=store.uri).metrics()["val/elbo"] == curve[3]


@pytest.mark.slow
def test_two_stores_in_one_home_end_as_alone(own_home, in_groups, tmp_path):
    """Each is cut off and goes on while the other one's checkpoint lies beside its own."""
    cfgs = [
        compose(*TINY, f"tracking.uri=sqlite:///{tmp_path}/{name}.db", f"tracking.artifacts={tmp_path}/{name}")
        for name in ("one", "two")
    ]
    for step, cfg in zip((30, 60), cfgs, strict=True):
        with pytest.raises(KeyboardInterrupt):
            run_job(cfg, [], {}, cut_after(step))
    values = [run_job(cfg, [], {}) for cfg in cfgs]
    assert values[0] == values[1]
    rows = []
    for cfg in cfgs:
        (run,) = runs_in(store_of(cfg))
        points = store_of(cfg).client.get_metric_history(run.run_id, "val/elbo")
        rows.append([(point.step, point.value) for point in points])
    assert rows[0] == rows[1]
    assert [step for step, _ in rows[0]] == [1, 2, 3, 4, 5, 6]


def test_identity_is_computed_once_in_the_planner_and_once_in_the_worker(tmp_path, monkeypatch):
    calls = []
    for module in (jobs_module, job_module):
        monkeypatch.setattr(
            module, "identity_of", lambda *given, where=module: (calls.append(where), identity_of(*given))[1]
        )
    places = (f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", f"tracking.artifacts={tmp_path}/artifacts")
    short = {"training.epochs": ["0"], "evaluation.pictures": ["false"], "evaluation.importance_samples": ["2"]}
    planned = checked_plan(None, {"seed": ["0", "1"], **short}, lambda words: compose_unchecked(*places, *words))
    assert calls == [jobs_module] * 2
    cfg = compose_unchecked(*places)
    parent = SweepRun(cfg, None, "python train.py", planned, 0, standings(store_of(cfg), [j.identity for j in planned]))
    calls.clear()

    def launch(batch):
        for words in batch:
            run_job(compose(*places, *words), words, {})
        return [type("Return", (), {"status": JobStatus.COMPLETED}) for _ in batch]

    assert multirun.run_all(planned, parent, 0, launch) == {}
    parent.run.finish("FINISHED")
    assert calls == [job_module] * 2
    assert all(one.done for one in standings(parent.store, [job.identity for job in planned]))


def test_a_machine_that_would_run_something_else_refuses_in_one_line(tmp_path, monkeypatch):
    places = (f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", f"tracking.artifacts={tmp_path}/artifacts")
    (planned,) = checked_plan(None, {"seed": ["0"]}, lambda words: compose_unchecked(*places, *words))
    parent = SweepRun(
        compose_unchecked(*places), None, "python train.py", [planned], 0, standings(None, [planned.identity])
    )
    words = multirun.overrides_of(planned, 0, 1, parent.run.run_id, 0)
    closure = jobs_module.Sources.closure
    edit = {"vae_lab/prior/mvn.py": "edited"}
    monkeypatch.setattr("vae_lab.study.code.Sources.closure", lambda *a, **k: closure(*a, **k) | edit)
    with pytest.raises(UsageError, match=r"than was planned \(other code: vae_lab/prior/mvn\.py\)"):
        run_job(compose(*places, *words), words, {})
    monkeypatch.undo()
    monkeypatch.setattr("vae_lab.data.digits.SHA256", "other pixels")
    with pytest.raises(UsageError, match=r"than was planned \(other settings or data\)"):
        run_job(compose(*places, *words), words, {})
    parent.run.finish("FAILED")


def test_a_changed_experiment_file_counts_none_of_its_old_runs(tmp_path, monkeypatch):
    """Report and plan agree: none is done, and both name the key that has changed."""
    from vae_lab.config import options

    (tmp_path / "experiment").mkdir()
    text = "\n".join(
        [
            "# @package _global_",
            "hydra: {mode: MULTIRUN}",
            "study:",
            "  question: '?'",
            "  arms: {small: {latent_size: 2}}",
            "  seeds: [0]",
            "  expected: [{arm: small, value: -90, tolerance: 1, source: a table, mark: S}]",
            "training: {epochs: 3}",
        ]
    )
    file = options.CONF / "experiment" / "of_a_test.yaml"
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "vae_lab", str(tmp_path / "artifacts"))
    try:
        file.write_text(text)
        (job,) = read_experiment("of_a_test").study.jobs
        tags = {"vae_lab.kind": "run", "vae_lab.experiment": "of_a_test", "vae_lab.arm": "small"}
        with TrackedRun(store, "small-s0", tags | job.identity.tags()) as run:
            names = {key: value for key, value in job.identity.trained.items() if not key.endswith("_target_")}
            run.params(names | job.identity.evaluated)
            run.text(job.identity.to_json(), "identity.json")
            run.metrics({"test/elbo": -90.0, "val/elbo": -90.0}, 3)
        before = gather(store, read_experiment("of_a_test").study)
        assert [verdict.says() for verdict in before.verdicts] == ["met by one seed"]
        file.write_text(text.replace("epochs: 3", "epochs: 100"))
        study = read_experiment("of_a_test").study
        after = gather(store, study)
        assert after.finished == 0
        assert [verdict.says() for verdict in after.verdicts] == ["not run"]
        stale, missing = sorted(after.runs.aside, key=lambda one: one.state, reverse=True)
        assert (stale.run.run_id, stale.state, stale.why) == (run.run_id, "stale", "training.epochs 3 -> 100")
        assert missing.state == "missing"
        (standing,) = standings_in(store.uri, "vae_lab", [study.jobs[0].identity])
        assert not standing.done
        assert standing.why() == f"as run {run.run_id[:8]}, but for training.epochs 3 -> 100"
    finally:
        file.unlink()


def test_list_and_plan_and_report_agree_on_what_is_done(tmp_path, capsys, monkeypatch):
    """Of every experiment, in a store where some jobs of some have finished runs."""
    import runpy

    from conftest import CHECKOUT

    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "vae_lab", str(tmp_path / "artifacts"))
    names = ("quickstart", "pytorch_vae", "latent_size")
    rng, done = np.random.default_rng(0), {}
    for name in names:
        study = read_experiment(name).study
        chosen = [job for job in study.jobs if rng.uniform() < 0.5]
        for job in chosen:
            with TrackedRun(store, name, {"vae_lab.kind": "run"} | job.identity.tags()) as run:
                run.metrics({"test/elbo": -90.0}, 1)
        done[name] = len(chosen)
        assert gather(store, study).finished == len(chosen)
        found = standings_in(store.uri, "vae_lab", [job.identity for job in study.jobs])
        assert sum(one.done for one in found) == len(chosen)
    main = runpy.run_path(str(CHECKOUT / "scripts" / "reproduce.py"))["main"]
    assert main(["--list", f"tracking.uri={store.uri}"]) == 0
    listed = capsys.readouterr().out
    for name in names:
        assert re.search(rf"{name} .* {done[name]} of \d+ ", listed)


@pytest.mark.slow
def test_a_plan_of_a_hundred_jobs_composes_as_hydra_does():
    """Each job's identity is that of the configuration that Hydra composes for it, value for value."""
    given = {"latent_size": [str(size) for size in range(2, 12)], "prior": ["mvn", "mixture"], "seed": list("01234")}
    given |= {"estimator": ["monte_carlo"], "optimizer.learning_rate": ["1e-3"], "encoder.hidden": ["[16,8]"]}
    began = time.monotonic()
    jobs = checked_plan(None, given, lambda words: compose_unchecked(*words))
    assert len(jobs) == len({job.identity.evaluation for job in jobs}) == 100
    print(f"{time.monotonic() - began:.1f} s")
    for job in jobs[::17]:
        assert identity_of(settings_of(compose_unchecked(*job.overrides))) == job.identity
    assert [job.name for job in jobs] == [job.name for job in plan(None, given)]
