"""The benchmarks: what they count, and that each part runs. Peers that are not installed are left out."""

import importlib
import math
import re
from importlib.util import find_spec
from itertools import pairwise

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import evaluation, jobs, report_time, startup, structures, training
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
    from vae_lab.config import compose
    from vae_lab.config.parts import make_model
    from vae_lab.config.settings import settings_of

    spec = specification(model)
    cfg = compose.compose_unchecked(*model.overrides)
    vae = make_model(settings_of(cfg), tuple(cfg.data.facts.image_shape), 2)
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


def job(arm, wall, compiling):
    return jobs.Job(f"{arm}-s0", arm, wall, training=2.0, compiling=compiling, logging=0.5, memory=1000.0)


def test_jobs_are_summed_up_without_the_first():
    done = [job("a", 20.0, 9.0), job("b", 7.0, 4.0), job("a", 3.0, -0.1), job("b", 4.0, 0.1)]
    assert [one.beside for one in done] == pytest.approx([9.0, 1.0, 1.1, 1.9])
    assert jobs.compiled_before(done) == done[2:]
    told = jobs.table(done).splitlines()[-1]
    assert "compiling is 1.10 s, 0.50 s of them in MLflow, and its highest 1.90 s" in told
    assert "compiled before (2 of 3) is 1.50 s, and the mean of all 2.67 s" in told


def test_a_command_that_ends_or_imports_otherwise_is_broken(tmp_path, monkeypatch):
    words = ("prior=mixture",)
    assert startup.seconds(words, str(tmp_path)) > 0
    for wrong in ((0, ()), (2, ("mlflow",))):
        monkeypatch.setitem(startup.COMMANDS, words, wrong)
        with pytest.raises(BrokenWorker, match="prior=mixture: exit code 2, imported"):
            startup.seconds(words, str(tmp_path))


def test_fit_draws_anew_at_each_step():
    from benchmarks.peers.keras_fit import FitVAE

    spec = specification(QUICK["digits mlp"])
    images = training_pixels(spec)[: spec.batch_size]
    model = FitVAE(spec, images)
    binarized = {float(model.terms(images)[0]) for _ in range(3)}  # a rate knows no draw of z
    decoded = {float(model.terms(0 * images)[1]) for _ in range(3)}  # a blank image is always binarized alike
    assert len(binarized) == len(decoded) == 3


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


def test_memory_over_structures_is_told_every_tenth_job_by_process():
    done = [structures.Held("12" if number < 15 else "7", 500.0 + number) for number in range(20)]
    told = structures.table(done)
    assert rows(told) == [["1", "1", "500 MB"], ["10", "1", "509 MB"], ["20", "2", "519 MB"]]
    assert told.endswith("20 structures in 2 processes, one after another; the most that one held: 519 MB.")


@pytest.mark.slow
def test_jobs_of_a_sweep_are_read_from_its_store():
    first, second = jobs.measure(jobs.QUICK)
    assert (first.name, second.name) == ("s0", "s1")
    assert first.arm == second.arm
    assert second.wall < first.wall  # the first imports
    assert second.compiling < first.compiling
    for job in (first, second):
        assert 0 < job.training < job.wall
        assert 0 < job.logging < job.beside < job.wall
        assert 100 < job.memory < 10_000


@pytest.mark.slow
def test_a_report_is_of_all_runs():
    done = report_time.report(report_time.Size(arms=2, seeds=3, epochs=4, images=10))
    assert (done.runs, done.values) == (6, 6 * 8 * 4)
    assert 0 < done.reading < done.whole
    assert done.page_bytes > 10_000


@pytest.mark.slow
def test_the_quick_page_has_every_section_and_row(capsys):
    page = benchmarks.measure(quick=True)
    assert page.strip() in capsys.readouterr().out  # each part was shown as soon as it was there
    sections = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    assert {name: len(rows(text)) for name, text in sections.items()} == {
        "Training": len(training.PEERS),
        "Log-likelihood": 1,
        "Jobs of a sweep": 2,
        "Many structures": 1,
        "Reports": 1,
        "Many jobs": 2,
        "Start-up": len(startup.COMMANDS),
        "Formulas written otherwise": 3,
    }
    ours = [row for row in rows(sections["Training"]) if row[0].startswith("vae_lab")]
    assert [row[0] for row in ours] == ["vae_lab", "vae_lab, as a run does it"]
    for row in ours:
        assert len([float(cell.split()[0].rstrip("%")) for cell in row[1:]]) == 7
    assert not re.search(r"\b(nan|inf)\b", page)


def rows(text):
    """The cells of the Markdown tables in a text, without their heads."""
    lines = [*text.splitlines(), ""]
    body = [line for line, below in pairwise(lines) if line.startswith("| ") and not below.startswith("|-")]
    return [line.strip("| ").split(" | ") for line in body]
