"""Searches: the space that is read, a real study beside a real store, what a kill costs, and what pruning saves."""

import contextlib
import csv
import io
import json
import os
import re
import signal

import in_process
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from vae_lab.errors import UsageError
from vae_lab.search.findings import importances
from vae_lab.search.search import at_once
from vae_lab.search.space import check_space, read_space
from vae_lab.search.storage import ask, ask_again, find_study, open_study
from vae_lab.tracking.artifacts import fetch_artifact
from vae_lab.tracking.records import children, read_run
from vae_lab.tracking.store import open_store


def space_of(*arguments, params=None):
    return read_space(params, arguments, OverridesParser.create().parse_overrides)


def test_hydras_grammar_becomes_distributions():
    space = space_of(
        "latent_size=int(interval(2,40))",
        "optimizer.learning_rate=tag(log,interval(1e-5,1e-2))",
        "training.batch_size=range(50,201,50)",
        "encoder.hidden=[16],[200,100]",
        "estimator.beta=range(0.5,1.25,0.25)",
        "prior=mixture",
        "seed=3,4",
    )
    read = {key: json.loads(text) for key, text in space.described().items()}
    assert {key: entry["name"] for key, entry in read.items()} == {
        "latent_size": "IntDistribution",
        "optimizer.learning_rate": "FloatDistribution",
        "training.batch_size": "IntDistribution",
        "encoder.hidden": "CategoricalDistribution",
        "estimator.beta": "FloatDistribution",
    }
    attributes = {key: entry["attributes"] for key, entry in read.items()}
    assert attributes["latent_size"] == {"low": 2, "high": 40, "log": False, "step": 1}
    assert attributes["optimizer.learning_rate"] == {"low": 1e-5, "high": 1e-2, "log": True, "step": None}
    assert attributes["training.batch_size"] == {"low": 50, "high": 200, "log": False, "step": 50}
    assert attributes["encoder.hidden"] == {"choices": ["[16]", "[200,100]"]}
    assert (attributes["estimator.beta"]["low"], attributes["estimator.beta"]["high"]) == (0.5, 1.0)
    assert (space.fixed, space.seeds) == ({"prior": "mixture"}, ("3", "4"))
    point = {"latent_size": 7, "optimizer.learning_rate": 1e-5, "encoder.hidden": "[200,100]"}
    overrides = space.overrides(point, "4")
    assert overrides == (
        "prior=mixture",
        "latent_size=7",
        "optimizer.learning_rate=1e-05",
        "encoder.hidden=[200,100]",
        "seed=4",
    )
    back = [override.value() for override in OverridesParser.create().parse_overrides(list(overrides))]
    assert back == ["mixture", 7, 1e-5, [200, 100], 4]


def test_the_command_line_wins_over_params():
    params = {"latent_size": "int(interval(2,40))", "prior": "choice(mvn,mixture)", "encoder.hidden": [16]}
    space = space_of("latent_size=5", "prior=mvn,vamp", params=params)
    assert list(space.parameters) == ["prior"]
    assert space.parameters["prior"].choices == ("mvn", "vamp")
    assert space.fixed == {"encoder.hidden": "[16]", "latent_size": "5"}


def test_a_space_knows_how_many_points_it_has():
    assert space_of("prior=mvn,mixture,vamp", "latent_size=range(2,9,2)").size() == 12
    assert space_of("estimator.beta=range(0.1,1.05,0.1)").size() == 10
    assert space_of("prior=mvn,mixture", "estimator.beta=interval(0,1)").size() == float("inf")


@pytest.mark.parametrize(
    ("text", "low", "high", "size"),
    [("range(0.0,1.0,0.3)", 0.0, 0.9, 4), ("range(0.1,1.0,0.3)", 0.1, 0.7, 3), ("range(10,1,-3)", 4, 10, 3)],
)
def test_a_range_is_without_its_stop_and_with_all_before_it(text, low, high, size):
    space = space_of(f"estimator.beta={text}")
    (distribution,) = space.parameters.values()
    assert (distribution.low, distribution.high, space.size()) == (low, high, size)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["latent_size=5", "seed=0,1"], "has nothing to search"),
        (["latent_size=int(interval(8,2))"], r"latent_size=int\(interval\(8,2\)\): `low <= high`"),
        (["optimizer.learning_rate=tag(log,interval(0,1))"], "`low > 0` must hold"),
        (["latent_size=tag(log,choice(1,2))"], "only an interval can be logarithmic"),
        (["latent_size=tag(wide,interval(1,2))"], "tag wide has no meaning"),
        (["latent_size=range(5,5)"], "is an empty range"),
        (["latent_size=2,3,2"], "must list different values"),
        (["latent_size=2,3", "latent_size=4"], "latent_size is given twice"),
        (["latent_size=2,3", "seed=interval(0,5)"], "a search does not vary seeds"),
        (["latent_size=2,3", "seed=1,1"], "has a seed twice"),
        (["latent_size=interval(1,"], "is not in Hydra's grammar"),
    ],
)
def test_a_space_that_is_none_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        space_of(*arguments)


def test_each_choice_must_go_with_some_other_and_each_end_with_all():
    def check(point):
        if (point["prior"], point["estimator"]) == ("mixture", "analytic"):
            raise UsageError("needs a closed form")
        if point["prior"] == "wrong" or point["latent_size"] > 8:
            raise UsageError(f"not with {point}")

    pair = ["prior=mixture,mvn", "estimator=analytic,sampled"]
    start = check_space(space_of(*pair, "latent_size=int(interval(2,8))"), check)
    assert start == {"prior": "mixture", "estimator": "sampled", "latent_size": 2}
    with pytest.raises(UsageError, match="needs a closed form"):
        check_space(
            space_of("prior=mixture,wrong", "estimator=analytic,analytic2", "latent_size=int(interval(9,9))"), check
        )
    with pytest.raises(UsageError, match="wrong"):
        check_space(space_of("prior=mvn,wrong", "estimator=analytic,sampled", "latent_size=range(2,4)"), check)
    with pytest.raises(UsageError, match="'latent_size': 9"):
        check_space(space_of(*pair, "latent_size=int(interval(2,9))"), check)


SETTINGS = {"space": {"x": "..."}, "metric": "val/elbo", "direction": "maximize", "seeds": ["0"], "rest": "a"}
TPE = {"_target_": "optuna.samplers.TPESampler", "seed": 0, "n_startup_trials": 3}


def points_of_study(url, name, cuts):
    """Six points of a quadratic; before those in `cuts` the process dies after it has asked."""
    space = space_of("x=interval(-4,4)", "y=int(interval(0,9))").parameters
    points = []
    study = open_study(name, url, "maximize", SETTINGS, TPE, None)
    while len(points) < 6:
        if len(points) in cuts:
            ask(study, TPE, space).report(1.5, 1)
            study = open_study(name, url, "maximize", SETTINGS, TPE, None)
            assert ask_again(study) == 1
        trial = ask(study, TPE, space)
        assert len(trial.storage.get_trial(trial._trial_id).intermediate_values) == (len(points) in cuts)
        points.append(trial.params)
        study.tell(trial, -((trial.params["x"] - 1) ** 2) - trial.params["y"])
    return points, study


def test_a_search_that_dies_asks_for_the_points_it_would_have(tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    alone, study = points_of_study(url, "alone", ())
    assert len({json.dumps(point) for point in alone}) == 6
    cut, _ = points_of_study(url, "cut", (0, 4))
    assert cut == alone
    shares = importances(study)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["y"] != shares["x"]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_sampler_asked_for_is_the_one_that_asks(tmp_path):
    """Also one that is not made anew for each trial."""
    quasi = {"_target_": "optuna.samplers.QMCSampler", "seed": 0}
    study = open_study("quasi", f"sqlite:///{tmp_path}/optuna.db", "maximize", SETTINGS, quasi, None)
    space = space_of("x=interval(0,1)").parameters
    points = []
    for _ in range(9):
        trial = ask(study, quasi, space)
        points.append(trial.params["x"])
        study.tell(trial, 0.0)
    # Eight points of a Sobol sequence after the first, which Optuna draws: one in each eighth.
    assert sorted(int(8 * x) for x in points[1:]) == list(range(8))


def test_looking_for_a_search_makes_none(tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    assert find_study("one", url, SETTINGS) is None
    assert find_study("one", url, SETTINGS | {"rest": "b"}) is None
    open_study("one", url, "maximize", SETTINGS, TPE, None)
    assert find_study("one", url, SETTINGS).study_name == "one"
    with pytest.raises(UsageError, match="is another search"):
        find_study("one", url, SETTINGS | {"rest": "b"})


@pytest.mark.parametrize(
    ("workers", "trials", "seeds", "jobs"),
    [(None, 2, 1, None), (2, 8, 1, 2), (4, 1, 3, 2), (4, 1, 1, 1), (-1, 2, 1, 2)],
)
def test_no_more_jobs_run_at_once_than_there_are_workers_or_jobs(workers, trials, seeds, jobs):
    assert at_once(workers, trials, seeds) == jobs


def test_a_study_that_is_another_search_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/deep/optuna.db"
    open_study("one", url, "maximize", SETTINGS, TPE, None)
    open_study("one", url, "maximize", SETTINGS, TPE, None)
    for change, message in (
        ({"space": {"x": "...", "y": "..."}}, "study_name=one in .* is another search: its space differs in y"),
        ({"seeds": ["0", "1"]}, r"its seeds was \['0'\]"),
        ({"rest": "b"}, "another model, data set, training, evaluation or code"),
    ):
        with pytest.raises(UsageError, match=message):
            open_study("one", url, "maximize", SETTINGS | change, TPE, None)
    with pytest.raises(UsageError, match="storage=nonsense cannot be opened"):
        open_study("one", "nonsense", "maximize", SETTINGS, TPE, None)


TINY = ["encoder.hidden=[16]", "decoder.hidden=[16]", "training.jit=false", "training.checkpoint_seconds=0"]
QUICK = ["evaluation.importance_samples=2", "evaluation.images_every=0", "latent_size=2"]
RATE = "optimizer.learning_rate=tag(log,interval(1e-3,3e-2))"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One store for all tests, because making one takes seconds; each test has its own experiment in it."""
    return tmp_path_factory.mktemp("search")


@pytest.fixture
def train(monkeypatch, home):
    """scripts/train.py in this process: (its exit code, what it printed)."""
    monkeypatch.setenv("VAE_LAB_HOME", str(home))

    def run(name, *words):
        names = [f"tracking.experiment_name={name}", f"hydra.sweeper.study_name={name}"]
        options = ["hydra/sweeper=optuna", *names, *TINY, *QUICK, *words]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = in_process.train(home, "-m", *options)
        return code, printed.getvalue()

    return run


def found(home, name, printed):
    store = open_store(f"sqlite:///{home}/outputs/mlflow.db", name)
    parent = read_run(store, re.search(r"^sweep: (\w+)$", printed, re.MULTILINE).group(1))
    return store, parent, children(store, parent.run_id)


def trials_of(store, parent, folder):
    text = fetch_artifact(store, parent.run_id, "trials.csv", str(folder)).read_text()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.slow
def test_a_search_that_is_killed_does_only_what_is_missing(train, home, tmp_path, monkeypatch):
    words = (RATE, "hydra.sweeper.n_trials=4", "hydra.sweeper.pruner=null", "training.epochs=3")
    code, printed = train("alone", *words)
    assert code == 0, printed
    store, parent, jobs = found(home, "alone", printed)
    whole = trials_of(store, parent, tmp_path)
    assert [job.status for job in jobs] == ["FINISHED"] * 4
    assert parent.status == "FINISHED"
    assert "4 of 4 trials complete" in printed
    best = max(jobs, key=lambda job: job.metrics["val/elbo"])
    assert [job.run_id for job in jobs if job.tags.get("vae_lab.best") == "true"] == [best.run_id]
    assert float(parent.tags["vae_lab.best_value"]) == best.metrics["val/elbo"]
    assert json.loads(parent.tags["vae_lab.best_params"]) == {
        "optimizer.learning_rate": float(best.params["optimizer.learning_rate"])
    }
    assert parent.tags["vae_lab.best_trial"] == best.tags["vae_lab.trial"]
    page = fetch_artifact(store, parent.run_id, "search.html", str(tmp_path)).read_text()
    assert "Optimization History Plot" in page
    assert "<script src=" not in page
    assert fetch_artifact(store, parent.run_id, "trials.md", str(tmp_path)).read_text().count("\n") == 6

    from vae_lab.console.progress import Progress

    report = Progress.__call__

    def interrupt(self, result, metrics):
        report(self, result, metrics)
        if self.head.endswith("trial-2-s0") and result.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "__call__", interrupt)
    code, printed = train("cut", *words)
    monkeypatch.setattr(Progress, "__call__", report)
    store, parent, jobs = found(home, "cut", printed)
    assert code == 130, printed
    assert [job.status for job in jobs] == ["FINISHED", "FINISHED", "KILLED"]
    assert parent.status == "KILLED"
    before = {job.run_id for job in jobs}
    code, printed = train("cut", *words)
    assert code == 0, printed
    assert "2 complete, 2 to do" in printed
    assert "1 trials were cut off" in printed
    assert printed.count(" starts\n") == 1
    assert printed.count(" goes on\n") == 1
    store, again, jobs = found(home, "cut", printed)
    assert again.run_id == parent.run_id
    assert [job.status for job in jobs] == ["FINISHED"] * 4
    assert before < {job.run_id for job in jobs}
    rows = trials_of(store, again, tmp_path)
    assert [row["state"] for row in rows] == ["complete", "complete", "fail", "complete", "complete"]
    assert rows[2]["note"] == "cut off, goes on as trial 3"
    told = ("val/elbo", "optimizer.learning_rate", "test/elbo")
    done = [[row[key] for key in told] for row in rows if row["state"] == "complete"]
    assert done == [[row[key] for key in told] for row in whole]


@pytest.mark.slow
def test_a_bad_trial_is_pruned_and_not_done_again(train, home, tmp_path):
    words = (
        "optimizer.learning_rate=1e-2,1e-6",
        "hydra/sweeper/sampler=random",
        "hydra.sweeper.sampler.seed=1",
        "hydra.sweeper.pruner.n_startup_trials=1",
        "hydra.sweeper.pruner.n_warmup_steps=2",
        "training.epochs=5",
        "seed=0,1",
    )
    code, printed = train("pruned", *words)
    assert code == 0, printed
    assert "each point of the space is complete or pruned" in printed
    store, parent, jobs = found(home, "pruned", printed)
    states = {job.name: (job.status, job.tags.get("vae_lab.pruned")) for job in jobs}
    assert states == {
        "trial-0-s0": ("FINISHED", None),
        "trial-0-s1": ("FINISHED", None),
        **{job.name: ("KILLED", "true") for job in jobs[2:]},
    }
    assert len(jobs) == 3  # the other seed of the pruned trial is not begun
    steps = [point.step for point in store.client.get_metric_history(jobs[2].run_id, "val/elbo")]
    assert steps == [1, 2]
    assert "test/elbo" not in jobs[2].metrics
    row = trials_of(store, parent, tmp_path)[0]
    assert float(row["val/elbo"]) == pytest.approx((jobs[0].metrics["val/elbo"] + jobs[1].metrics["val/elbo"]) / 2)
    assert not list((home / "outputs" / "checkpoints").glob("*/*.npz"))
    code, printed = train("pruned", *words)
    assert code == 0, printed
    assert " starts\n" not in printed
    assert len(found(home, "pruned", printed)[2]) == 3


@pytest.mark.slow
def test_failures_are_told_and_too_many_end_the_search(train, home):
    words = ("optimizer=sgd", "optimizer.learning_rate=1e29,1e30", "training.epochs=1")
    code, printed = train("failed", *words, "hydra.sweeper.max_failure_rate=0")
    assert code == 1, printed
    assert "1 of 1 trials failed, and hydra.sweeper.max_failure_rate=0" in printed
    assert printed.rstrip().splitlines()[-1].startswith("  trial 0: NonFiniteLoss: the loss is not finite at step")
    _, parent, jobs = found(home, "failed", printed)
    assert (parent.status, [job.status for job in jobs]) == ("FAILED", ["FAILED"])


def test_a_wrong_setting_ends_a_search_before_it_begins(train, monkeypatch, tmp_path):
    monkeypatch.setenv("VAE_LAB_HOME", str(tmp_path))
    for words, message in (
        (["hydra.sweeper.storage=null"], "hydra.sweeper.storage=null must be a database"),
        (["hydra.sweeper.metric=test/elbo"], "has none left for its result"),
        (["data.validation_size=0"], "compares by val/elbo, and data.validation_size=0 leaves none"),
        (["training.batch_size=interval(10,20)"], r"training.batch_size=int\(interval"),
        (
            ["hydra/sweeper/pruner=successive_halving", "hydra.sweeper.pruner.reduction_factor=0"],
            "hydra.sweeper.pruner: ",
        ),
    ):
        code, printed = train("wrong", RATE, *words)
        assert code == 2, printed
        assert re.search(message, printed), printed
        assert not (tmp_path / "outputs" / "mlflow.db").exists()
