"""The benchmarks: what they count, and that each part runs. Peers that are not installed are left out."""

import importlib
import math
from importlib.util import find_spec

import pytest

from benchmarks import evaluation, jobs, training
from benchmarks.specification import MODELS, QUICK, Means, Model, specification, training_pixels
from benchmarks.workers import BrokenWorker, Worker

CONV = Model(
    (
        "data=digits",
        "encoder=conv",
        "encoder.filters=[4,8]",
        "decoder=conv",
        "decoder.base=[2,2,4]",
        "decoder.filters=[8,4]",
        "training.batch_size=100",
    ),
    images=250,
)


def test_flops_of_a_dense_epoch_are_three_products_a_layer_less_the_gradient_of_the_images():
    spec = specification(QUICK["digits mlp"])
    first, others = 64 * 32, 32 * 40 + 20 * 32 + 32 * 64
    assert spec.epoch_flops(1200) == 1200 * 2 * (2 * first + 3 * others)


def test_layers_are_those_of_the_harness():
    spec = specification(MODELS["MNIST mlp"])
    assert [layer.kernel_shape() for layer in spec.encoder] == [(784, 300), (300, 300), (300, 100)]
    assert [layer.kernel_shape() for layer in spec.decoder] == [(50, 300), (300, 300), (300, 784)]
    assert [layer.relu for layer in (*spec.encoder, *spec.decoder)] == [True, True, False] * 2


@pytest.mark.parametrize("model", [MODELS["MNIST conv"], CONV], ids=["MNIST", "digits"])
def test_convolutions_have_the_kernels_and_places_of_the_harness(model):
    from vae_lab import compose

    spec = specification(model)
    cfg = compose.compose_unchecked(*model.overrides)
    vae = compose.make_model(cfg, tuple(cfg.data.facts.image_shape), 2)
    parts = [part for part in (*vae.encoder.layers, *vae.decoder.layers) if part.weights]
    for layer, part in zip((*spec.encoder, *spec.decoder), parts, strict=True):
        assert layer.kernel_shape() == tuple(part.kernel.shape)
        assert layer.inputs == tuple(part.input.shape[1:])
        assert layer.outputs == tuple(part.output.shape[1:])


def test_training_pixels_are_whole_batches():
    assert training_pixels(specification(CONV)).shape == (200, 8, 8, 1)


def test_a_broken_worker_says_why():
    with Worker("benchmarks.matmul", "one argument too many") as worker, pytest.raises(BrokenWorker, match="TypeError"):
        worker.turn(1)


def test_a_peer_that_does_not_learn_is_broken():
    worse, better = Means(-30.0, 2.0, 28.0), Means(-20.0, 3.0, 17.0)
    training.require_learning(training.HARNESS, worse, better)
    for last in (worse, Means(math.nan, math.nan, math.nan)):
        with pytest.raises(BrokenWorker, match="vae_lab: the ELBO"):
            training.require_learning(training.HARNESS, worse, last)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "elbo"), [(QUICK["digits mlp"], -28.9), (CONV, -43.1)], ids=["mlp", "conv"])
@pytest.mark.parametrize("peer", training.PEERS, ids=lambda peer: peer.module.split(".")[-1])
def test_every_peer_learns_the_same(peer, model, elbo):
    if not find_spec(peer.package):
        pytest.skip(f"{peer.package} is not installed")
    spec = specification(model)
    train = importlib.import_module(peer.module).build(spec, training_pixels(spec))
    first, last = train(1), train(20)
    assert last.elbo == pytest.approx(-(last.rate + last.distortion), rel=1e-5)
    assert last.elbo > first.elbo
    assert last.elbo == pytest.approx(elbo, abs=1.0)


@pytest.mark.slow
def test_comparison_names_absent_peers_and_the_harness_is_its_own_measure(monkeypatch):
    absent = training.Peer("another", "benchmarks.peers.another", "no_such_package")
    monkeypatch.setattr(training, "PEERS", (training.HARNESS, absent))
    compared = training.compare("digits mlp", QUICK["digits mlp"], rounds=2, seconds_of_matmul=0.1)
    assert compared.ratios(training.HARNESS) == [1.0, 1.0]
    assert compared.limit() > 0
    harness, other = training.table(compared).splitlines()[2:4]
    assert "| 1.00 | 1.00 to 1.00 |" in harness
    assert other.startswith("| another | not installed |")


@pytest.mark.slow
def test_evaluation_is_measured():
    done = evaluation.build(QUICK["digits mlp"], 20)(0.01)
    assert done.images >= 100
    assert -64.0 < done.mean < -30.0  # an untrained model is about a coin a pixel: 64 log 2 is 44
    assert done.peak_bytes is None or done.peak_bytes >= 0


@pytest.mark.slow
def test_jobs_of_a_sweep_are_read_from_its_store():
    first, second = jobs.measure(jobs.QUICK)
    assert (first.name, second.name) == ("s0", "s1")
    assert second.wall < first.wall  # the first imports and compiles
    for job in (first, second):
        assert 0 < job.training < job.wall
        assert 0 < job.logging < job.wall - job.training
