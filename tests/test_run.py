"""One run in this process: what is selected, when it stops, what is kept."""

import pytest

from vae_lab.compose import compose
from vae_lab.run import run, store_of
from vae_lab.tracking.records import read_run

TINY = ("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "training.jit=false")
QUICK = ("evaluation.importance_samples=5", "evaluation.images_every=0")


def history(run_id, store, key):
    return {point.step: point.value for point in store.client.get_metric_history(run_id, key)}


@pytest.fixture
def finished(own_home):
    """Runs a configuration and returns (its record, its store)."""

    def go(name, *overrides):
        cfg = compose(*TINY, *QUICK, *overrides)
        run(cfg, name, {}, lambda result, metrics: None)
        store = store_of(cfg)
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
    assert history(last.run_id, store, "val/elbo") == validation


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
def test_a_run_without_validation_rows_or_epochs_is_evaluated(finished):
    record, store = finished("bare", "training.epochs=0", "data.validation_size=0")
    assert list(history(record.run_id, store, "test/elbo")) == [0]
    assert not [key for key in record.metrics if key.startswith("val/")]
