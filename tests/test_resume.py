"""Runs that are cut off go on; what is finished is not done again; nobody works on a job twice."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from vae_lab.config.compose import compose
from vae_lab.config.settings import settings_of
from vae_lab.run.checkpoint import FORMAT, KEPT, Checkpoints, checkpoints_of
from vae_lab.run.interrupts import Interrupts
from vae_lab.run.job import Skipped, attempts, job_tags, run_job, unfinished
from vae_lab.run.loaded import load_run
from vae_lab.run.lock import Lock, Locked, lock_name
from vae_lab.run.work import train
from vae_lab.study.identity import identity_of
from vae_lab.sweep.doctor import close_dead_runs, close_if_running
from vae_lab.tracking.records import read_run
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun

TINY = (
    "encoder.hidden=[16]",
    "decoder.hidden=[16]",
    "latent_size=2",
    "training.jit=false",
    "training.epochs=5",
    "training.checkpoint_seconds=0",
    "evaluation.importance_samples=5",
    "evaluation.images_every=2",
)


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run", "t")
    assert checkpoints.latest() is None
    arrays = {"weight/0": np.arange(6.0).reshape(2, 3), "sums": np.zeros(5)}
    state = {"epoch": 3, "best": float("-inf"), "waiting": [["val/elbo", -1.5, 7, 3]]}
    checkpoints.save(arrays, state)
    back = checkpoints.latest()
    assert back.state == state | {"format": FORMAT, "training": "t"}
    assert back.arrays.keys() == arrays.keys()
    np.testing.assert_array_equal(back.arrays["weight/0"], arrays["weight/0"])
    checkpoints.clear()
    assert not (tmp_path / "run").exists()


def test_the_last_checkpoints_are_kept_and_a_damaged_one_is_passed_over(tmp_path):
    checkpoints = Checkpoints(tmp_path, "t")
    for epoch in range(4):
        checkpoints.save({"x": np.full(1000, epoch)}, {"epoch": epoch})
    files = checkpoints.files()
    assert len(files) == KEPT
    assert checkpoints.latest().state["epoch"] == 3
    content = bytearray(files[-1].read_bytes())
    content[len(content) // 2] ^= 1
    files[-1].write_bytes(content)
    assert checkpoints.latest().state["epoch"] == 2
    assert checkpoints.damaged == [files[-1]]
    files[-2].write_bytes(files[-2].read_bytes()[:100])
    assert checkpoints.latest() is None


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path):
    checkpoints = Checkpoints(tmp_path, "t")
    checkpoints.save({"x": np.ones(3)}, {"epoch": 1})
    with pytest.raises(TypeError, match="JSON"):
        checkpoints.save({"x": np.ones(3)}, {"epoch": object()})
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        checkpoints.save({"x": np.array([object()])}, {"epoch": 2})
    assert checkpoints.latest().state["epoch"] == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_checkpoint_of_other_code_or_of_another_format_is_kept_and_not_gone_on_from(tmp_path, monkeypatch):
    Checkpoints(tmp_path, "t").save({"x": np.ones(3)}, {"epoch": 1})
    other = Checkpoints(tmp_path, "u")
    assert other.latest() is None
    (line,) = other.refused
    assert re.search(r"checkpoint .*00000000\.refused is of other code, settings or data; it is kept", line)
    assert len(list(tmp_path.glob("*.refused"))) == 1
    monkeypatch.setattr("vae_lab.run.checkpoint.FORMAT", 1)
    Checkpoints(tmp_path, "t").save({"x": np.ones(3)}, {"epoch": 1})
    monkeypatch.undo()
    newer = Checkpoints(tmp_path, "t")
    assert newer.latest() is None
    assert "of format 1 and not 3" in newer.refused[0]


def test_checkpoints_lie_by_store_and_run_and_move_with_the_folder_of_both(tmp_path):
    def place(home, database, run_id="a"):
        return checkpoints_of(home / "checkpoints", f"sqlite:///{home / database}", run_id, "t").folder

    assert place(tmp_path, "one.db") != place(tmp_path, "two.db")
    assert place(tmp_path, "one.db") != place(tmp_path, "one.db", "b")
    moved = place(tmp_path / "moved", "one.db").relative_to(tmp_path / "moved")
    assert moved == place(tmp_path, "one.db").relative_to(tmp_path)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_waits_until_it_is_asked_for(number, error):
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        interrupts.stop_if_asked()
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert interrupts.asked == number
        with pytest.raises(error):
            interrupts.stop_if_asked()
    assert signal.getsignal(number) == before


def test_a_schedulers_warning_is_handed_on_at_a_safe_moment():
    handed = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: handed.append(number))
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGUSR2)  # as Slurm preempts: the warning counts, the job is requeued
            time.sleep(0.01)
            assert handed == []
            interrupts.stop_if_asked()
            interrupts.stop_if_asked()
        assert handed == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def rows(store, run_id):
    """All rows of a run by key and step, but for measured times."""
    record = read_run(store, run_id)
    return {
        (key, point.step): [
            other.value for other in store.client.get_metric_history(run_id, key) if other.step == point.step
        ]
        for key in record.metrics
        if not key.startswith("perf/")
        for point in store.client.get_metric_history(run_id, key)
    }


def frames(store, run_id):
    return sorted(entry.path.rsplit("+timestamp", 1)[0] for entry in store.client.list_artifacts(run_id, "images"))


def runs_named(store, name):
    return store.client.search_runs([store.experiment_id], f"attributes.run_name = '{name}'")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("training.select=best", "training.early_stopping.patience=2", "schedule=cosine", "estimator.warmup_epochs=3"),
    ],
    ids=["plain", "best-stopping-schedule-warmup"],
)
def test_a_run_that_is_interrupted_anywhere_ends_as_one_that_was_not(own_home, options, monkeypatch, request, order_of):
    from vae_lab.training import Trainer

    monkeypatch.setattr(Trainer, "_group", lambda self: 5)
    alone = compose(*TINY, *options, f"tracking.experiment_name=alone-{request.node.callspec.id}")
    train(order_of(alone, "alone"), lambda result, metrics: None)
    (whole,) = runs_named(order_of(alone, "").store, "alone")
    cfg = compose(*TINY, *options, f"tracking.experiment_name=cut-{request.node.callspec.id}")

    def cut_at(step):
        def on_progress(result, metrics):
            if result.step >= step:
                os.kill(os.getpid(), signal.SIGINT)

        return on_progress

    run_id = None
    for step in (1, 14, 22, 40):  # before and after ends of epochs of 12 steps
        with pytest.raises(KeyboardInterrupt):
            train(order_of(cfg, "cut"), cut_at(step), run_id)
        (found,) = runs_named(order_of(cfg, "").store, "cut")
        assert found.info.status == "KILLED"
        run_id = found.info.run_id
    train(order_of(cfg, "cut"), lambda result, metrics: None, run_id)
    assert read_run(order_of(cfg, "").store, run_id).status == "FINISHED"
    expected = rows(order_of(alone, "").store, whole.info.run_id)
    # Where not the last epoch is selected, its validation follows the curve's end once more.
    twice = {key for key, values in expected.items() if len(values) > 1}
    assert twice <= {(f"val/{quantity}", 5) for quantity in ("elbo", "rate", "distortion")}
    assert not twice or "training.select=best" in options
    assert rows(order_of(cfg, "").store, run_id) == expected
    assert frames(order_of(cfg, "").store, run_id) == frames(order_of(alone, "").store, whole.info.run_id)
    assert not list((own_home / "outputs" / "checkpoints").glob("**/*.npz"))


@pytest.mark.slow
@pytest.mark.parametrize("select", ["last", "best"])
def test_a_run_that_was_cut_off_is_evaluated_from_its_checkpoint(own_home, select, monkeypatch, order_of):
    """At the end of its second epoch, with the numbers of that epoch's validation."""
    from vae_lab.training import Trainer

    monkeypatch.setattr(Trainer, "_group", lambda self: 12)
    cfg = compose(*TINY, f"training.select={select}", f"tracking.experiment_name=from-{select}")

    def cut(result, metrics):
        if result.step == 24:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(order_of(cfg, "cut"), cut)
    (found,) = runs_named(order_of(cfg, "").store, "cut")
    loaded = load_run(found.info.run_id, tracking_uri=cfg.tracking.uri)
    assert (loaded.record.status, loaded.epoch) == ("KILLED", 2)
    history = order_of(cfg, "").store.client.get_metric_history(found.info.run_id, "val/elbo")
    (validated,) = [point.value for point in history if point.step == 2]
    assert loaded.metrics()["val/elbo"] == pytest.approx(validated, rel=1e-6)


@pytest.mark.slow
def test_a_kill_after_the_evaluation_sends_the_same_rows_once(own_home, monkeypatch, order_of):
    """Whether it came before or after the rows were sent."""
    cfg = compose(*TINY, "tracking.experiment_name=late")
    for moment in ("before", "after"):
        finish = TrackedRun.finish

        def die(self, status, moment=moment):
            if moment == "after":
                self.flush()
            raise KeyboardInterrupt

        monkeypatch.setattr(TrackedRun, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            train(order_of(cfg, moment), lambda result, metrics: None)
        monkeypatch.setattr(TrackedRun, "finish", finish)
        (found,) = runs_named(order_of(cfg, "").store, moment)
        train(order_of(cfg, moment), lambda result, metrics: None, found.info.run_id)
        values = rows(order_of(cfg, "").store, found.info.run_id)
        assert all(len(value) == 1 for value in values.values())
        assert ("test/elbo", 5) in values


def test_a_lock_is_one_process_and_ends_with_it(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom vae_lab.run.lock import Lock\n"
        f"with Lock(Path({str(tmp_path)!r}), 'job'):\n    print('taken', flush=True)\n    time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "taken\n"
    with pytest.raises(Locked), Lock(tmp_path, "job"):
        pass
    with Lock(tmp_path, "another job"):
        pass
    other.kill()
    other.wait()
    other.stdout.close()
    with Lock(tmp_path, "job"):
        pass


@pytest.mark.slow
def test_a_finished_job_is_not_done_again_and_another_evaluation_trains_nothing(own_home, order_of):
    settings = (*TINY, "tracking.experiment_name=again")
    cfg = compose(*settings)
    first = run_job(cfg, [], {})
    assert run_job(cfg, [], {}) == first
    store = order_of(cfg, "").store
    (trained,) = store.client.search_runs([store.experiment_id])
    more = compose(*settings, "evaluation.importance_samples=9")
    run_job(more, [], {})
    assert run_job(cfg, [], {}) == first
    evaluated = [r for r in store.client.search_runs([store.experiment_id]) if r.info.run_id != trained.info.run_id]
    assert [r.data.tags["vae_lab.trained_by"] for r in evaluated] == [trained.info.run_id]
    assert evaluated[0].data.metrics["val/elbo"] == first
    assert evaluated[0].data.metrics["test/elbo"] == trained.data.metrics["test/elbo"]
    assert evaluated[0].data.metrics["test/log_likelihood"] != trained.data.metrics["test/log_likelihood"]
    assert "running/elbo" not in evaluated[0].data.metrics

    # A third evaluation takes the weights of the run that trained them, also inside a run that was cut off.
    third = compose(*settings, "evaluation.importance_samples=7")
    cut = TrackedRun(store, "cut", job_tags(third, [], {}) | identity_of(settings_of(third)).tags())
    cut.finish("KILLED")
    run_job(third, [], {})
    again = store.client.get_run(cut.run_id)
    assert again.info.status == "FINISHED"
    assert again.data.tags["vae_lab.trained_by"] == trained.info.run_id
    assert again.data.metrics["val/elbo"] == first
    assert "running/elbo" not in again.data.metrics
    run_job(compose(*settings, "sweep.repeat=all"), [], {})
    assert len(store.client.search_runs([store.experiment_id])) == 4


def test_dead_runs_are_closed_and_living_ones_are_not(own_home, tmp_path, order_of):
    cfg = compose("tracking.experiment_name=dead")
    store = order_of(cfg, "").store
    dead, alive = (
        TrackedRun(store, name, {"vae_lab.kind": "run", "vae_lab.training": name}) for name in ("dead", "alive")
    )
    elsewhere = TrackedRun(store, "elsewhere", {"vae_lab.kind": "run", "vae_lab.training": "elsewhere"})
    elsewhere.tag({"vae_lab.host": "another machine"})
    gone = TrackedRun(store, "gone", {"vae_lab.kind": "sweep"})
    gone.tag({"vae_lab.process": "999999999"})
    with Lock(tmp_path, lock_name(store.experiment_id, "alive")):
        # A lock is its process's: another one has to look.
        code = (
            "import sys\nfrom pathlib import Path\nfrom vae_lab.sweep.doctor import close_dead_runs\n"
            "from vae_lab.tracking.store import open_store\n"
            f"for r in close_dead_runs(open_store({store.uri!r}, 'dead'), Path({str(tmp_path)!r})): print(r.name)"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(found) == ["dead", "gone"]
    statuses = {r.name: r.status for r in (read_run(store, t.run_id) for t in (dead, alive, elsewhere, gone))}
    assert statuses == {"dead": "KILLED", "alive": "RUNNING", "elsewhere": "RUNNING", "gone": "KILLED"}
    elsewhere.tag({"vae_lab.heartbeat": str(int(time.time()) - 3600)})
    assert [record.name for record in close_dead_runs(store, tmp_path)] == ["alive", "elsewhere"]


def test_a_run_that_has_ended_since_it_was_listed_is_left_as_it_is(own_home, order_of):
    store = order_of(compose("tracking.experiment_name=ended"), "").store
    tracked = TrackedRun(store, "ended", {"vae_lab.kind": "run"})
    listed = read_run(store, tracked.run_id)
    tracked.finish("FINISHED")
    assert listed.status == "RUNNING"
    assert not close_if_running(store, listed)
    assert read_run(store, tracked.run_id).status == "FINISHED"


def test_a_run_is_finished_only_when_all_of_it_is_there(own_home, monkeypatch, order_of):
    store = order_of(compose("tracking.experiment_name=order"), "").store
    with TrackedRun(store, "order", {}) as tracked:
        calls = []
        for name in ("log_batch", "log_artifact", "set_terminated"):
            real = getattr(store.client, name)
            monkeypatch.setattr(
                store.client, name, lambda *a, real=real, name=name, **k: (calls.append(name), real(*a, **k))
            )
        tracked.metrics({"test/elbo": -1.0}, 1)
        tracked._away = True  # as while the server does not answer
        tracked.text("late", "late.txt")
        assert not tracked.delivered
        assert calls == []
    assert tracked.delivered
    assert calls == ["log_artifact", "log_batch", "set_terminated"]


def test_a_run_that_goes_on_has_no_error_any_more(own_home, order_of):
    store = order_of(compose("tracking.experiment_name=error"), "").store
    with pytest.raises(KeyboardInterrupt), TrackedRun(store, "cut", {}) as tracked:
        raise KeyboardInterrupt
    assert "KeyboardInterrupt" in read_run(store, tracked.run_id).tags["vae_lab.error"]
    with TrackedRun(store, "cut", {}, run_id=tracked.run_id):
        assert "vae_lab.error" not in read_run(store, tracked.run_id).tags


def test_which_run_a_job_goes_on_with():
    def of(status, **tags):
        return SimpleNamespace(run_id=status, status=status, tags={f"vae_lab.{key}": tags[key] for key in tags})

    def order(files):
        return SimpleNamespace(checkpoints_of=lambda run_id: SimpleNamespace(files=lambda: files))

    none, one = order([]), order(["00000000.npz"])

    now, far = int(time.time()), {"host": "another machine"}
    with pytest.raises(Locked, match="another machine"):
        unfinished([of("RUNNING", **far, heartbeat=str(now))], one)
    silent, here = of("RUNNING", **far, heartbeat=str(now - 3700)), of("RUNNING", host=socket.gethostname())
    for cut_off in (silent, here, of("KILLED")):
        assert unfinished([of("FAILED"), cut_off], none) is cut_off
        assert unfinished([cut_off], none, with_checkpoint=True) is None
    assert unfinished([of("FAILED"), of("FINISHED")], none) is None
    assert unfinished([of("FAILED")], one) is not None
    assert unfinished([of("KILLED", pruned="true")], one) is None


def test_a_job_that_takes_its_process_down_is_tried_three_times_a_start():
    def begun(started, times):
        return SimpleNamespace(
            run_id="a", status="RUNNING", tags={"vae_lab.sweep_started": started, "vae_lab.attempts": times}
        )

    sweep = SimpleNamespace(started=7)
    assert [attempts(sweep, run) for run in (None, begun("7", "2"), begun("6", "3"))] == [1, 3, 1]
    with pytest.raises(Skipped, match="has died 3 times"):
        attempts(sweep, begun("7", "3"))


def test_a_second_interrupt_acts_at_once():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
            assert interrupts.asked
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_row_that_is_sent_twice_is_there_once(own_home, order_of):
    cfg = compose("tracking.experiment_name=twice")
    store = order_of(cfg, "").store
    tracked = TrackedRun(store, "twice", {})
    tracked.metrics({"a": 1.5, "b": float("nan")}, 1)
    waiting = json.loads(json.dumps(tracked.waiting))
    tracked.flush()
    again = TrackedRun(store, "twice", {}, run_id=tracked.run_id)
    again.waiting = waiting
    again.metrics({"a": 2.5}, 2)
    again.finish("FINISHED")
    assert [point.value for point in store.client.get_metric_history(tracked.run_id, "a")] == [1.5, 2.5]
    assert len(store.client.get_metric_history(tracked.run_id, "b")) == 1


@pytest.mark.slow
def test_a_loss_that_is_not_finite_leaves_the_last_values_and_a_checkpoint(own_home, order_of):
    cfg = compose(
        *TINY,
        "tracking.experiment_name=diverged",
        "schedule=piecewise",
        "schedule.epochs=[2]",
        "schedule.factors=[1.0,1e9]",
    )
    with pytest.raises(RuntimeError, match=r"not finite at step \d+ \(epoch [345]\).*before: running/loss"):
        run_job(cfg, [], {})
    store = order_of(cfg, "").store
    (found,) = store.client.search_runs([store.experiment_id])
    assert found.info.status == "FAILED"
    assert ("val/elbo", 2) in rows(store, found.info.run_id)
    assert len(store.client.list_artifacts(found.info.run_id, "checkpoint")) == 1


def test_a_database_that_is_deleted_is_an_error_and_not_a_silence(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "tests", str(tmp_path / "artifacts"))
    tracked = TrackedRun(store, "lost", {})
    tracked.metrics({"a": 1.0}, 0)
    (tmp_path / "mlflow.db").unlink()
    with pytest.raises(FileNotFoundError, match=r"mlflow\.db was deleted while the run was going on"):
        tracked.finish("FINISHED")
