"""What a notebook calls: train, runs, compare, against real runs in a real store."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import CHECKOUT

import vae_lab
from vae_lab.commands.compare import main
from vae_lab.errors import UsageError
from vae_lab.report.statistics import paired_images
from vae_lab.tracking.artifacts import artifact
from vae_lab.tracking.store import open_store
from vae_lab.tracking.tracked_run import TrackedRun

TINY = (
    *("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "training.jit=false", "training.epochs=2"),
    *("evaluation.importance_samples=5", "evaluation.images_every=0", "evaluation.pictures=false"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store of this module's own, as the word that names it."""
    folder = tmp_path_factory.mktemp("store")
    return f"tracking.uri=sqlite:///{folder}/mlflow.db", f"tracking.artifacts={folder}/artifacts"


@pytest.fixture(scope="module")
def trained(place):
    """Two runs that differ in the prior and the seed."""
    mixture = ("prior=mixture", "prior.components=3", "estimator=monte_carlo")
    return vae_lab.train(*TINY, *place), vae_lab.train(*TINY, *mixture, "seed=1", *place)


def test_train_gives_the_run_and_trains_it_once(trained, place):
    one, _ = trained
    assert one.record.status == "FINISHED"
    assert one.model.latent_prior().event_shape == (2,)
    again = vae_lab.train(*TINY, *place)
    assert again.record.run_id == one.record.run_id
    assert again.metrics()["test/elbo"] == pytest.approx(one.record.metrics["test/elbo"], rel=1e-6)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["experiment=quickstart"], "one run"),
        (["sweep.plan=true"], "one run"),
        (["prior=mixtur"], "did you mean mixture"),
        (["prior._target_=os.system"], "is not imported"),
        (["seed=0", "seed=1"], "given twice"),
    ],
)
def test_train_refuses_in_a_line(words, named):
    with pytest.raises(UsageError, match=named) as refused:
        vae_lab.train(*words)
    assert len(str(refused.value).splitlines()) <= 2


def test_runs_are_rows_with_what_differs(trained, place):
    table = vae_lab.runs(place[0])
    assert list(table["run"]) == [run.record.run_id for run in trained]
    assert list(table["seed"]) == [0, 1]
    assert list(table["status"]) == ["FINISHED", "FINISHED"]
    assert table["evaluation"].nunique() == 2
    for (_, row), run in zip(table.iterrows(), trained, strict=True):
        assert row["test/elbo"] == run.record.metrics["test/elbo"]
    assert pd.isna(table["prior.components"][0])
    assert table["prior.components"][1] == "3"
    assert not {"latent_size", "data.dir", "tracking.uri"} & set(table.columns)


def test_runs_that_do_not_count_are_left_aside_unless_asked_for(trained, place):
    store = open_store(place[0].removeprefix("tracking.uri="), "vae_lab")
    one = TrackedRun(store, "cut off", {"vae_lab.kind": "run"})
    one.finish("KILLED")
    assert one.run_id not in set(vae_lab.runs(place[0])["run"])
    table = vae_lab.runs(place[0], aside=True)
    assert list(table[table["run"] == one.run_id]["counts"]) == [False]
    assert len(table) == 3


def test_runs_by_epoch_are_the_curves(trained, place):
    table = vae_lab.runs(place[0], by="epoch")
    store = open_store(place[0].removeprefix("tracking.uri="))
    for run in trained:
        own = table[(table["run"] == run.record.run_id) & (table["metric"] == "running/elbo")]
        points = store.client.get_metric_history(run.record.run_id, "running/elbo")
        assert dict(zip(own["epoch"], own["value"], strict=True)) == {point.step: point.value for point in points}
        assert list(own["epoch"]) == sorted(own["epoch"])


def test_runs_by_image_average_to_the_metric(trained, place):
    table = vae_lab.runs(place[0], by="image")
    means = table[table["split"] == "test"].groupby("run")[["elbo", "rate", "log_likelihood"]].mean()
    for run in trained:
        for quantity in means.columns:
            found = means.loc[run.record.run_id, quantity]
            assert found == pytest.approx(run.record.metrics[f"test/{quantity}"], rel=1e-9), quantity


@pytest.mark.parametrize(
    ("words", "by", "named"),
    [
        (["experment=x"], "run", "experment=x"),
        (["quickstart"], "run", "quickstart"),
        (["experiment=a", "sweep=b"], "run", "both"),
        ([], "row", "by=row"),
        (["experiment=nope"], "run", "nope"),
    ],
)
def test_runs_refuse_in_a_line(words, by, named, place, trained):
    with pytest.raises(UsageError, match=named):
        vae_lab.runs(*words, place[0], by=by)


def test_compare_tells_settings_and_metrics_with_their_interval(trained, place, tmp_path):
    one, other = (run.record for run in trained)
    uri = place[0].removeprefix("tracking.uri=")
    found = vae_lab.compare(one.run_id, other.run_id[:12], tracking_uri=uri)
    assert found.settings["seed"] == ("0", "1")
    assert found.settings["prior.name"] == ("mvn", "mixture")
    assert found.settings["prior.components"] == ("none", "3")
    assert "vae_lab/prior/mixture.py" in found.code
    assert found.data == ""
    assert found.environment == []
    elbo = next(pair for pair in found.metrics if pair.name == "test/elbo")
    assert elbo.difference == one.metrics["test/elbo"] - other.metrics["test/elbo"]
    values = []
    for run in (one, other):
        with np.load(artifact(open_store(uri), run, "evaluation/test.npz", tmp_path), allow_pickle=False) as arrays:
            values.append(arrays["elbo"])
    assert elbo.over_images == paired_images(*values)
    assert elbo.over_images.low < elbo.difference < elbo.over_images.high


def test_a_run_differs_from_itself_in_nothing(trained, place):
    run = trained[0].record
    found = vae_lab.compare(run.run_id, run.run_id, tracking_uri=place[0].removeprefix("tracking.uri="))
    assert (found.settings, found.code, found.data, found.environment) == ({}, [], "", [])
    assert all(pair.difference == 0 for pair in found.metrics)


def test_the_command_prints_it(trained, place, capsys):
    ids = [run.record.run_id for run in trained]
    assert main([ids[0][:10], ids[1], place[0]]) == 0
    printed = capsys.readouterr().out
    for word in ("prior.components", "vae_lab/prior/mixture.py", "data: the same", "test/elbo"):
        assert word in printed
    assert main([ids[0]]) == 2
    assert main([ids[0], "nope", place[0]]) == 2
    assert "run=nope" in capsys.readouterr().err


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, vae_lab\n"
        "assert callable(vae_lab.train) and callable(vae_lab.runs) and callable(vae_lab.compare)\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'pandas', 'hydra', 'numpy', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True, timeout=120)
