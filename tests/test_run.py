"""One run in this process: what is selected, when it stops, what is kept."""

import numpy as np
import pytest
from PIL import Image

from vae_lab.config.compose import compose
from vae_lab.evaluation.pictures import CHEAP
from vae_lab.run.work import train
from vae_lab.tracking.artifacts import fetch_artifact
from vae_lab.tracking.records import metric_history, read_run

TINY = ("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "training.jit=false")
QUICK = ("evaluation.importance_samples=5", "evaluation.images_every=0", "evaluation.pictures=false")


def history(run_id, store, key, first=False):
    points = store.client.get_metric_history(run_id, key)
    return {point.step: point.value for point in (reversed(points) if first else points)}


@pytest.fixture
def finished(own_home, order_of):
    """Runs a configuration and returns (its record, its store)."""

    def go(name, *overrides):
        cfg = compose(*TINY, *QUICK, *overrides)
        order = order_of(cfg, name)
        train(order, lambda result, metrics: None)
        store = order.store
        found = store.client.search_runs([store.experiment_id], f"attributes.run_name = '{name}'")
        return read_run(store, found[0].info.run_id), store

    return go


SPOILED_AFTER_THREE = (
    "training.epochs=6",
    "schedule=piecewise",
    "schedule.epochs=[3]",
    "schedule.factors=[1.0,5000.0]",
)


@pytest.mark.slow
def test_best_selects_the_epoch_of_the_highest_validation_elbo(finished):
    """The learning rate is raised 5000 times after epoch 3, which spoils what follows."""
    last, store = finished("last", *SPOILED_AFTER_THREE)
    best, _ = finished("best", *SPOILED_AFTER_THREE, "training.select=best")
    validation = history(best.run_id, store, "val/elbo")
    assert max(validation, key=validation.get) == 3
    assert list(history(best.run_id, store, "test/elbo")) == [3]
    assert list(history(last.run_id, store, "test/elbo")) == [6]
    assert best.metrics["test/elbo"] > last.metrics["test/elbo"] + 1
    assert history(last.run_id, store, "val/elbo") | {6: 0} == validation | {6: 0}
    assert best.metrics["val/elbo"] == validation[3]  # for every reader, MLflow's own table too
    assert best.metrics["val/rate"] == history(best.run_id, store, "val/rate", first=True)[3]
    assert metric_history(store, [best.run_id], "val/elbo")[best.run_id] == history(last.run_id, store, "val/elbo")


@pytest.mark.slow
def test_early_stopping_counts_from_its_first_epoch(finished):
    """No epoch gains 1000 nats: patience 2, counted after epoch 3, ends training with epoch 6."""
    record, store = finished(
        "stopped",
        "training.epochs=20",
        "training.early_stopping.patience=2",
        "training.early_stopping.min_delta=1000",
        "training.early_stopping.start_from_epoch=3",
    )
    assert list(history(record.run_id, store, "val/elbo")) == [1, 2, 3, 4, 5, 6]
    assert record.status == "FINISHED"


@pytest.mark.slow
def test_early_stopping_and_the_best_epoch_begin_after_the_warm_up(finished):
    """No epoch gains 1000 nats: patience 2 ends training two epochs after the first that is looked at."""
    stopping = ("training.early_stopping.patience=2", "training.early_stopping.min_delta=1000")
    warm = ("training.epochs=20", "estimator.warmup_epochs=3.5", *stopping)
    record, store = finished("warm", *warm, "training.select=best", "optimizer.learning_rate=1.0e-30")
    assert sorted(history(record.run_id, store, "val/elbo", first=True)) == [*range(1, 8)]
    assert list(history(record.run_id, store, "test/elbo")) == [5]  # of equal epochs the first after the warm-up
    assert "vae_lab.stopped_in_warmup" not in record.tags
    told, store = finished("told", *warm, "training.early_stopping.start_from_epoch=0")
    assert list(history(told.run_id, store, "val/elbo")) == [1, 2, 3]
    assert told.tags["vae_lab.stopped_in_warmup"] == "3"
    again, store = finished("cycles", *warm, "estimator.cycle_epochs=5")
    assert list(history(again.run_id, store, "val/elbo")) == [*range(1, 16)]  # those looked at are 5, 10 and 15


@pytest.mark.slow
def test_a_run_without_validation_rows_or_epochs_is_evaluated(finished):
    record, store = finished("bare", "training.epochs=0", "data.validation_size=0")
    assert list(history(record.run_id, store, "test/elbo")) == [0]
    assert not [key for key in record.metrics if key.startswith("val/")]


@pytest.mark.slow
def test_a_run_leaves_pictures_values_of_each_split_and_what_it_cost(finished, tmp_path):
    settings = ("evaluation.images_every=1", "evaluation.pictures=true", "evaluation.gradient_draws=2")
    record, store = finished("pictures", "training.epochs=2", *settings)
    names = {file.path for file in store.client.list_artifacts(record.run_id, "pictures")}
    drawn = [name for name in CHEAP if name != "layer_samples"]  # which shows what upper layers hold: here are none
    assert names == {f"pictures/{name}.{'gif' if name == 'training' else 'png'}" for name in drawn}
    with Image.open(fetch_artifact(store, record.run_id, "pictures/training.gif", str(tmp_path))) as film:
        assert film.n_frames == 3
    with np.load(fetch_artifact(store, record.run_id, "evaluation/val.npz", str(tmp_path))) as values:
        assert values["elbo"].mean() == pytest.approx(record.metrics["val/elbo"], rel=1e-12)
    with np.load(fetch_artifact(store, record.run_id, "evaluation/train_latents.npz", str(tmp_path))) as values:
        assert values["marginal_kl"].sum() == pytest.approx(record.metrics["train/rate"], rel=1e-5)
    assert record.metrics["gradient/decoder/variance"] > 0
    assert record.metrics["perf/evaluation_seconds"] > 0
    assert 300 < record.metrics["perf/peak_memory_mb"] < 100_000
