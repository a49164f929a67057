"""Metrics, pictures and callbacks of one's own: called where their roles say, checked before work, in the identity."""

import re
import textwrap

import numpy as np
import pytest

from vae_lab.config.compose import compose, compose_unchecked, evaluation_of, to_yaml
from vae_lab.config.overrides import check_overrides
from vae_lab.config.settings import settings_of
from vae_lab.errors import UsageError
from vae_lab.run.loaded import load_run
from vae_lab.run.work import train
from vae_lab.study.identity import identity_of
from vae_lab.study.jobs import checked_plan
from vae_lab.tracking.artifacts import fetch_artifact
from vae_lab.tracking.records import read_run

MODULE = """
import numpy as np
import tensorflow as tf
from vae_lab.binarization import intensities
from vae_lab.protocols import Callback, Metric, Picture


class Brightness(Metric):
    def __init__(self, times):
        self.times = times

    def __call__(self, model, images, seed):
        x = intensities(images.pixels, images.levels)
        return self.times * tf.reduce_mean(x, axis=[1, 2, 3])


class Count(Metric):
    def __call__(self, model, images, seed):
        return len(images)


class Wrong(Metric):
    def __call__(self, model, images, seed):
        return np.zeros(3)


class Stripe(Picture):
    def __call__(self, subject):
        return np.full((4, 6, 3), subject.epoch, np.uint8)


class Shrink(Callback):
    '''Takes a share off a weight of the decoder's, which is stateless.'''

    def __call__(self, model, epoch, metrics):
        weight = model.decoder.trainable_variables[0]
        weight.assign(0.9 * weight)
        return {"norm": tf.norm(weight.value), "elbo": metrics["running/elbo"]}


class Fails(Callback):
    def __call__(self, model, epoch, metrics):
        raise RuntimeError(f"mine failed in epoch {epoch}")
"""
TINY = (
    *("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "training.jit=false", "training.epochs=4"),
    *("training.checkpoint_seconds=0", "evaluation.importance_samples=5", "evaluation.images_every=0"),
    *("evaluation.pictures=false", "evaluation.latent_images=0"),
)
METRIC = ("+evaluation.metrics.brightness._target_=own_lab.Brightness", "+evaluation.metrics.brightness.times=2")
PICTURE = ("+evaluation.own_pictures.stripe._target_=own_lab.Stripe",)
CALLBACK = ("+training.callbacks.shrink._target_=own_lab.Shrink",)


@pytest.fixture(scope="module", autouse=True)
def own_lab(tmp_path_factory):
    """A module of somebody else's project: its file."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "conf").mkdir()
    (folder / "pyproject.toml").write_text('[tool.vae_lab]\npackages = ["own_lab"]\n')
    file = folder / "own_lab.py"
    file.write_text(textwrap.dedent(MODULE))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("VAE_LAB_PROJECT", str(folder))
        yield file


def run_of(order, on_progress=lambda result, metrics: None):
    """Trains, or goes on with the run of the order that there is."""
    found = runs_of(order)
    train(order, on_progress, found[0].info.run_id if found else None)
    return read_run(order.store, runs_of(order)[0].info.run_id)


def runs_of(order):
    return order.store.client.search_runs([order.store.experiment_id], f"attributes.run_name = '{order.name}'")


def test_a_study_may_be_about_a_metric_of_ones_own():
    study = {
        "arms": {"two": {"latent_size": 2}, "three": {"latent_size": 3}},
        "seeds": [0],
        "metric": "test/brightness",
    }
    row = {"difference": ["two", "three"], "between": [0, None], "source": "a guess", "mark": "C"}
    study["expected"] = [row, {**row, "metric": "val/brightness"}]
    assert len(checked_plan(study, {}, lambda overrides: compose_unchecked(*METRIC, *overrides))) == 2
    with pytest.raises(UsageError, match=r"study\.metric=test/brightness is no metric of a run"):
        checked_plan(study, {}, lambda overrides: compose_unchecked(*overrides))
    study["expected"][1]["metric"] = "val/brigtness"
    with pytest.raises(UsageError, match=r"expected.1.\.metric=val/brigtness .* did you mean val/brightness"):
        checked_plan(study, {}, lambda overrides: compose_unchecked(*METRIC, *overrides))


def test_own_parts_are_called_logged_and_taken_up_bitwise(order_of, tmp_path):
    """A run that was cut off comes to the numbers of one that was not, its callback's among them."""
    words = (*TINY, *METRIC, *PICTURE, *CALLBACK, "+evaluation.metrics.rows._target_=own_lab.Count")
    whole_order = order_of(compose(*words), "own whole")
    whole = run_of(whole_order)

    def stop(result, metrics):
        if result.complete and result.epoch == 3:
            raise KeyboardInterrupt

    order = order_of(compose(*words), "own cut off")
    with pytest.raises(KeyboardInterrupt):
        run_of(order, stop)
    resumed = run_of(order)
    numbers = {key: value for key, value in whole.metrics.items() if not key.startswith("perf/")}
    assert {key: resumed.metrics[key] for key in numbers} == numbers
    histories = []
    for record in (whole, resumed):
        points = order.store.client.get_metric_history(record.run_id, "shrink/norm")
        assert [point.step for point in points] == [1, 2, 3, 4]
        histories.append([point.value for point in points])
    assert histories[0] == histories[1]
    store = order.store
    by_image = np.load(fetch_artifact(store, whole.run_id, "evaluation/test.npz", tmp_path))
    brightness = by_image["brightness"]
    assert brightness.shape == (whole.metrics["test/rows"],)
    assert whole.metrics["test/brightness"] == brightness.mean()
    assert whole.metrics["test/brightness_se"] == brightness.std(ddof=1) / np.sqrt(len(brightness))
    assert {"train/brightness", "val/rows"} <= whole.metrics.keys()
    loaded = load_run(whole.run_id)
    np.testing.assert_allclose(brightness, 2 * loaded.images.fixed["test"].pixels.mean(axis=(1, 2, 3)), rtol=1e-6)
    assert loaded.metrics()["test/brightness"] == whole.metrics["test/brightness"]
    assert fetch_artifact(store, whole.run_id, "pictures/stripe.png", tmp_path).read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("+training.callbacks.mine._target_=own_lab.Fails",), "mine failed in epoch 1"),
        (
            ("+evaluation.metrics.mine._target_=own_lab.Wrong", "training.epochs=0"),
            r"evaluation\.metrics\.mine has shape \(3,\); it must be a number, or \[",
        ),
    ],
)
def test_an_error_in_them_fails_the_run(order_of, words, message):
    order = order_of(compose(*TINY, *words), f"own {words[0][-5:]}")
    with pytest.raises((RuntimeError, ValueError), match=message):
        run_of(order)
    assert runs_of(order)[0].info.status == "FAILED"


def identity(*words):
    return identity_of(settings_of(compose(*TINY, *words)))


def test_metrics_count_in_the_evaluation_callbacks_in_training_and_pictures_in_neither(own_lab):
    plain, metric, callback = identity(), identity(*METRIC), identity(*CALLBACK)
    assert not any(
        "metrics" in key or "callbacks" in key or "own_pictures" in key for key in {**plain.trained, **plain.evaluated}
    )
    assert metric.training == plain.training
    assert metric.evaluation != plain.evaluation
    assert callback.training != plain.training
    assert identity(*PICTURE) == plain
    other = identity(METRIC[0], "+evaluation.metrics.brightness.times=3")
    assert (other.training, other.evaluation != metric.evaluation) == (plain.training, True)
    text = own_lab.read_text()
    try:
        own_lab.write_text(text.replace("self.times *", "1 + self.times *"))
        edited = identity(*METRIC)
        assert (edited.training, edited.evaluation != metric.evaluation) == (plain.training, True)
        own_lab.write_text(text.replace("0.9 *", "0.8 *"))
        assert identity(*CALLBACK).training != callback.training
    finally:
        own_lab.write_text(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("+evaluation.metrics.elbo._target_=own_lab.Count",),
            "evaluation.metrics.elbo: elbo is one of our own names; choose another",
        ),
        (
            ("+evaluation.own_pictures.traversals._target_=own_lab.Stripe",),
            "evaluation.own_pictures.traversals: traversals is one of our own names",
        ),
        (("+training.callbacks.val._target_=own_lab.Shrink",), "training.callbacks.val: val is one of our own names"),
        (
            ("+evaluation.metrics.mine._target_=own_lab.Cuont",),
            "mine._target_=own_lab.Cuont: its _target_ is Cuont in own_lab, and there is no such class there",
        ),
        (
            ("+evaluation.metrics.mine._target_=no_lab.Count",),
            "evaluation.metrics.mine._target_=no_lab.Count: no_lab.Count is no class of",
        ),
        (
            (METRIC[0], "+evaluation.metrics.brightness.time=2"),
            "there is no setting evaluation.metrics.brightness.time: Brightness takes no such setting",
        ),
        (("+evaluation.metrics.mine.times=2",), "evaluation.metrics.mine={'times': 2} must be {_target_: CLASS}"),
        (("evaluation.metrics=5",), "evaluation.metrics=5 must be a group of NAME: {_target_: CLASS}"),
        (("+training.callbacks={1x: {_target_: own_lab.Shrink}}",), "training.callbacks.1x: a name is of letters"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(words, message):
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        compose(*TINY, *words)
    assert str(error.value).count("\n") <= 1


def test_names_are_free_on_the_command_line_and_of_a_run_that_is_evaluated_anew():
    check_overrides(METRIC + PICTURE + CALLBACK, compose(*TINY, *METRIC, *PICTURE, *CALLBACK))
    text = to_yaml(compose(*TINY))
    again = evaluation_of(text, ["evaluation.metrics.rows._target_=own_lab.Count"])
    assert again.evaluation.metrics.rows._target_ == "own_lab.Count"
    without = "\n".join(line for line in text.splitlines() if line.strip() not in ("metrics: {}", "callbacks: {}"))
    assert settings_of(evaluation_of(without, [])) == settings_of(compose(*TINY))  # a run of before there were any
