"""The compiled loop: what it visits, what it repeats, what it refuses."""

import random
import re
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from vae_lab import schedule
from vae_lab.config import compose
from vae_lab.config.settings import settings_of
from vae_lab.data.images import Images
from vae_lab.evaluation.aggregate import AggregateEvaluator
from vae_lab.run.program import images_of, program_for
from vae_lab.training import START, NonFiniteLoss


def trained(built, pixels, seed=0, epochs=2, start=START):
    results = list(built.trainer.train(tf.constant(pixels.train.pixels), seed, epochs, start))
    return results, [weight.numpy() for weight in built.model.weights]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_training_twice_gives_bitwise_the_same_weights_and_terms(program):
    first, first_weights = trained(*program("training.jit=false")[:0:-1])
    second, second_weights = trained(*program("training.jit=false")[:0:-1])
    assert same(first_weights, second_weights)
    assert [r.running for r in first if r.complete] == [r.running for r in second if r.complete]


def test_training_on_from_an_epoch_equals_training_through(program):
    _, pixels, built = program("training.jit=false")
    _, through = trained(built, pixels, epochs=3)
    _, pixels, built = program("training.jit=false")
    results, _ = trained(built, pixels, epochs=1)
    _, continued = trained(built, pixels, epochs=3, start=results[-1].position)
    assert same(through, continued)


def test_training_on_from_within_an_epoch_equals_training_through(program, monkeypatch):
    """In another process, by what a checkpoint holds: weights, optimizer, position and sums."""
    _, pixels, built = program("training.jit=false")
    through, weights = trained(built, pixels, epochs=2)
    _, pixels, built = program("training.jit=false")
    monkeypatch.setattr(built.trainer, "_group", lambda: 5)
    for result in built.trainer.train(tf.constant(pixels.train.pixels), 0, 2):
        if result.epoch > 1.4:
            break
    assert not result.complete
    saved = built.trainer.weights()
    _, pixels, other = program("training.jit=false", "seed=9")
    other.trainer.set_weights(saved)
    rest, continued = trained(other, pixels, epochs=2, start=result.position)
    assert same(weights, continued)
    assert rest[-1].running == through[-1].running


def test_grouping_of_steps_changes_no_number(program, monkeypatch):
    _, pixels, built = program("training.jit=false")
    results, weights = trained(built, pixels, epochs=1)
    _, pixels, other = program("training.jit=false")
    monkeypatch.setattr(other.trainer, "_group", lambda: 3)
    in_threes, weights_in_threes = trained(other, pixels, epochs=1)
    assert same(weights, weights_in_threes)
    assert len(in_threes) > len(results)
    assert in_threes[-1].running == results[-1].running


@pytest.mark.slow
def test_a_program_used_again_equals_a_fresh_one(program):
    """With XLA: the second run compiles nothing and gives bitwise the weights of a process of its own."""

    def settings(*overrides):
        small = ("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=3", "training.jit=true")
        return settings_of(compose.compose(*small, *overrides))

    pixels = images_of(settings("seed=0"))
    shared = program_for(settings("seed=0"), pixels)
    trained(shared, pixels, seed=0)
    again = program_for(settings("seed=5", "optimizer.learning_rate=3e-3"), pixels)
    assert again.trainer is shared.trainer
    assert again.model is shared.model
    _, reused = trained(again, pixels, seed=5)
    assert again.trainer._steps.experimental_get_tracing_count() == 1
    _, pixels, fresh = program("training.jit=true", "seed=5", "optimizer.learning_rate=3e-3")
    _, alone = trained(fresh, pixels, seed=5)
    assert same(reused, alone)


def visits(program, binarization, epochs, one_image=False):
    """Each epoch's training images as the model sees them, in the order of their rows."""
    _, pixels, built = program(f"binarization={binarization}", "training.batch_size=100", "training.jit=false")
    rows = np.repeat(pixels.train.pixels[:1], 300, axis=0) if one_image else pixels.train.pixels[:300]
    pixels = replace(pixels, train=Images(rows, pixels.train.levels))
    seen = []

    def record(x, seed, epoch):
        tf.py_function(lambda batch: seen.append(batch.numpy()), [x], [])
        return (tf.zeros(len(x)),) * 5, tf.constant(0.0)

    built.trainer.step = record
    list(built.trainer.train(tf.constant(pixels.train.pixels), 0, epochs))
    return pixels, np.concatenate(seen).reshape(epochs, 300, 8, 8, 1)


def rows_sorted(images):
    return np.array(sorted(images.reshape(len(images), -1).tolist()))


def test_every_row_is_visited_once_an_epoch_in_a_new_order(program):
    pixels, seen = visits(program, "threshold", 2)
    for epoch in seen:
        np.testing.assert_array_equal(rows_sorted(epoch), rows_sorted(pixels.train.pixels.astype(float)))
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], pixels.train.pixels)


def test_static_shows_the_same_pixels_each_epoch_and_dynamic_fresh_ones(program):
    _, static = visits(program, "static", 2)
    np.testing.assert_array_equal(rows_sorted(static[0]), rows_sorted(static[1]))
    _, dynamic = visits(program, "dynamic", 2)
    assert np.mean(rows_sorted(dynamic[0]) != rows_sorted(dynamic[1])) > 0.05


def test_dynamic_pixels_are_coins_of_their_grey_level(program):
    """Over 9000 visits of one image the mean of each pixel is its intensity within five standard errors."""
    pixels, seen = visits(program, "dynamic", 30, one_image=True)
    assert set(np.unique(seen)) == {0.0, 1.0}
    intensity = pixels.train.pixels[0] / 16
    error = np.abs(seen.mean(axis=(0, 1)) - intensity)
    assert np.all(error <= 5 * np.sqrt(intensity * (1 - intensity) / 9000))


def test_dynamic_pixels_are_drawn_anew_each_epoch(program):
    """Of one image at every row, two epochs see different draws, in whatever order."""
    _, seen = visits(program, "dynamic", 2, one_image=True)
    first, second = ({image.tobytes() for image in epoch} for epoch in seen)
    assert len(first & second) < 3


def test_warmup_goes_by_the_epochs_that_are_over(program, monkeypatch):
    """Of two steps an epoch and a warm-up of two epochs, the rate weighs 0, 1/4, 1/2, 3/4, 1 and 1."""
    _, pixels, built = program("training.jit=false", "training.batch_size=600", "estimator.warmup_epochs=2")
    monkeypatch.setattr(built.trainer, "_group", lambda: 1)
    results, _ = trained(built, pixels, epochs=3)
    weights = []
    for first, both in zip(results[::2], results[1::2], strict=True):
        second = {name: 2 * both.running[name] - first.running[name] for name in both.running}
        weights += [(of["loss"] - of["distortion"]) / of["rate"] for of in (first.running, second)]
    assert weights == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1], abs=1e-4)


def test_gradient_steps_lower_the_loss_with_every_optimizer(program):
    for overrides in (
        ("optimizer=adam",),
        ("optimizer=rmsprop", "optimizer.centered=true"),
        ("optimizer=sgd", "optimizer.learning_rate=1e-3", "optimizer.global_clipnorm=10"),
        ("optimizer=adam", "training.normalize_gradients=true"),
        ("optimizer=adam", "training.loss_reduction=sum", "optimizer.clipnorm=1"),
    ):
        _, pixels, built = program("training.jit=false", *overrides)
        results, _ = trained(built, pixels, epochs=3)
        elbo = [result.running["elbo"] for result in results if result.complete]
        assert elbo[0] < elbo[-1], overrides


def one_step(program, *overrides):
    """Change of the weights by one step of plain gradient descent with rate 1."""
    _, pixels, built = program("optimizer=sgd", "optimizer.learning_rate=1", "training.jit=false", *overrides)
    before = [weight.numpy().astype(float) for weight in built.model.trainable_variables]
    x = tf.cast(pixels.fixed["test"].pixels[:50], tf.float32)
    built.trainer.step(x, tf.constant([0, 1]), tf.constant(0.0))
    return [weight.numpy() - old for weight, old in zip(built.model.trainable_variables, before, strict=True)]


def test_sum_reduction_is_batch_size_times_mean(program):
    for summed, mean in zip(one_step(program, "training.loss_reduction=sum"), one_step(program), strict=True):
        np.testing.assert_allclose(summed, 50 * mean, rtol=1e-3, atol=1e-4)


def test_normalized_gradients_have_norm_one_and_clipped_ones_at_most_their_norm(program):
    for change in one_step(program, "training.normalize_gradients=true"):
        assert np.linalg.norm(change) == pytest.approx(1, abs=1e-4)
    norms = [np.linalg.norm(change) for change in one_step(program, "optimizer.clipnorm=0.5")]
    assert max(norms) == pytest.approx(0.5, abs=1e-4)
    total = np.sqrt(sum(np.sum(change**2) for change in one_step(program, "optimizer.global_clipnorm=0.5")))
    assert total == pytest.approx(0.5, abs=1e-4)


def test_an_infinite_loss_stops_with_its_step(program):
    _, pixels, built = program("optimizer=sgd", "optimizer.learning_rate=1e30", "training.jit=false")
    with pytest.raises(NonFiniteLoss, match=r"not finite at step [0-9]+ \(epoch 1\)"):
        trained(built, pixels, epochs=1)


def test_schedules_reach_their_values_at_their_epochs():
    steps = schedule.piecewise(0.1, 10, 30, epochs=[10, 20], factors=[1.0, 0.5, 0.25])
    for step, rate in ((0, 0.1), (99, 0.1), (100, 0.05), (199, 0.05), (200, 0.025)):
        assert float(steps(step)) == pytest.approx(rate)
    fall = schedule.cosine(0.1, 10, 30, final_factor=0.1, warmup_epochs=0)
    assert float(fall(0)) == pytest.approx(0.1)
    assert float(fall(150)) == pytest.approx(0.055)
    assert float(fall(300)) == pytest.approx(0.01)
    rise = schedule.cosine(0.1, 10, 30, final_factor=0.0, warmup_epochs=5)
    assert float(rise(25)) == pytest.approx(0.05)
    assert float(rise(50)) == pytest.approx(0.1)
    assert schedule.constant(0.1, 10, 30) == 0.1


def test_compiled_steps_update_kernels_in_place(program):
    """Without a copy of any of them, which would cost as much as a layer at every step."""
    _, pixels, built = program("training.jit=true")
    rows, scalar = tf.range(len(pixels.train.pixels)), tf.constant(0)
    sums = tf.constant(START.sums)
    arguments = (tf.constant(pixels.train.pixels), rows, scalar, scalar, scalar, scalar + 2, sums, scalar - 1)
    program_text = built.trainer._steps.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
    assert " while(" in program_text
    assert " dot(" in program_text
    assert not re.findall(r"f32\[\d+,\d+\]\S* copy\(.*", program_text)


def test_initial_weights_depend_on_the_seed_and_their_own_part_alone(program):
    def weights(*overrides):
        return {weight.path: weight.numpy() for weight in program(*overrides)[2].model.weights}

    standard, other_seed, mixture = weights(), weights("seed=1"), weights("prior=mixture", "estimator=monte_carlo")
    kernels = [path for path in standard if "kernel" in path]
    assert len(kernels) == 4
    for path in kernels:
        assert not np.array_equal(standard[path], other_seed[path])
        np.testing.assert_array_equal(standard[path], mixture[path])


class Unused(keras.layers.Dense):
    """A layer with a weight that nothing reads, made when it is built, as any layer of a user's may be."""

    def build(self, input_shape):
        super().build(input_shape)
        self.unused = self.add_weight(shape=(3,), initializer="random_normal", name="unused")


def test_weights_that_are_made_when_a_part_is_built_depend_on_the_seed_alone(program, monkeypatch):
    monkeypatch.setattr(keras.layers, "Dense", Unused)
    random.seed(1)
    first = [weight.numpy() for weight in program()[2].model.weights]
    random.seed(2)
    assert same(first, [weight.numpy() for weight in program()[2].model.weights])
    assert not same(first, [weight.numpy() for weight in program("seed=1")[2].model.weights])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("jit", ["false", "true"])
def test_a_weight_without_a_gradient_stays_as_it_is_and_the_others_train(program, monkeypatch, jit):
    monkeypatch.setattr(keras.layers, "Dense", Unused)
    _, pixels, built = program(f"training.jit={jit}")
    before = {weight.path: weight.numpy() for weight in built.model.weights}
    trained(built, pixels, epochs=1)
    for weight in built.model.weights:
        assert np.array_equal(weight.numpy(), before[weight.path]) == ("unused" in weight.path), weight.path


def test_making_a_model_leaves_the_seeds_of_the_process_alone(program):
    """TensorFlow forgets all that it has compiled when its own seed is set; the next run would pay for that."""

    def drawn(act):
        keras.utils.set_random_seed(1)
        act()
        return random.random(), float(tf.random.uniform([]))

    assert drawn(lambda: program("prior=mixture", "estimator=monte_carlo")) == drawn(lambda: None)


def test_initializer_is_the_one_that_was_asked_for(program):
    option = "{class_name: RandomNormal, config: {mean: 3.0, stddev: 0.001}}"
    built = program(f"encoder.initializer={option}")[2]
    for layer in built.model.encoder.layers:
        if isinstance(layer, keras.layers.Dense):
            assert layer.kernel.numpy().mean() == pytest.approx(3, abs=0.01)


def test_mixed_precision_computes_networks_alone_in_bfloat16(program):
    """Weights, densities and their sums are float32; the ELBO moves by bfloat16's 2^-8, not more."""
    _, pixels, exact = program("training.jit=false")
    _, _, mixed = program("training.jit=false", "training.precision=mixed_bfloat16")
    assert {layer.compute_dtype for layer in mixed.model.decoder.layers} == {"bfloat16"}
    assert {weight.dtype for weight in mixed.model.weights} == {"float32"}
    assert mixed.model.prior.compute_dtype == "float32"
    terms, _ = mixed.trainer.step(tf.ones([100, 8, 8, 1]), tf.constant([0, 1]), tf.constant(0.0))
    assert {term.dtype for term in terms} == {tf.float32}
    _, pixels, mixed = program("training.jit=false", "training.precision=mixed_bfloat16")
    (_, one), (_, other) = trained(exact, pixels), trained(mixed, pixels)
    assert not same(one, other)
    aggregate = AggregateEvaluator(mixed.model, (8, 8, 1))(pixels.fixed["test"], 0, mutual_information=True)
    assert np.isfinite(aggregate["mutual_information"]).all()
    elbos = [built.elbo(pixels.fixed["test"], 1, 0)["elbo"].mean() for built in (exact, mixed)]
    assert abs(elbos[0] - elbos[1]) < 0.01 * abs(elbos[0])
