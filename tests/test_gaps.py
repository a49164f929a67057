"""Inference gaps: on a linear-Gaussian model, where each is known."""

import numpy as np
import pytest
import tensorflow as tf
from test_evaluation import linear_log_likelihood

from vae_lab.binarization import intensities
from vae_lab.config.compose import compose
from vae_lab.errors import UsageError
from vae_lab.evaluation.annealed import AnnealedSampler
from vae_lab.evaluation.final import final_metrics
from vae_lab.evaluation.local_posterior import LocalPosterior, flow, full_covariance
from vae_lab.randomness import seed_for

LINEAR = ("encoder=linear", "decoder=linear", "likelihood=normal", "binarization=none", "training.jit=false")
ROWS = 40


def linear_model(program, diagonal=True):
    """A linear model of three latents that depend on each other; with a linear encoder at its optimum.

    The best diagonal q is N(M^-1 W (x - b), 1 / diag M), M = I + W W' the posterior's precision.
    """
    _, pixels, built = program(*LINEAR)
    model, rng = built.model, np.random.default_rng(0)
    kernel, bias = model.decoder.weights
    w = 0.3 * rng.normal(size=kernel.shape) + 0.3 * rng.normal(size=(1, kernel.shape[1]))
    kernel.assign(w)
    b = bias.numpy().astype(float)
    precision = np.eye(3) + w @ w.T
    solved = np.linalg.solve(precision, w).T  # x - b -> mean
    raw = np.log(np.expm1(np.diag(precision) ** -0.5 - model.posterior.scale_floor))
    weights, offset = model.encoder.weights
    weights.assign(np.concatenate([solved, np.zeros_like(solved)], axis=1))
    offset.assign(np.concatenate([-b @ solved, raw]))
    images = pixels.fixed["test"].pixels[:ROWS], pixels.fixed["test"].levels
    return model, intensities(*images), linear_log_likelihood(model, *images), precision


def approximation_gap(precision):
    """.5 (sum log diag M - log det M), in nats."""
    return (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]) / 2


def within(values, expected, slack=0.0):
    """Whether a mean over images is the expected one, within four standard errors."""
    return abs(np.mean(values) - expected) < 4 * np.std(values, ddof=1) / np.sqrt(len(values)) + slack


def test_gaps_of_a_linear_model_are_the_exact_ones(program, figure):
    model, x, exact, precision = linear_model(program)
    features, gap = model.features(x), approximation_gap(precision)
    assert gap > 0.3
    own = LocalPosterior(model, model.posterior, 300, 0.02)
    amortized = own.bound(features, x, 4000, 0, 0)
    found = own.bound(own.optimized(features, x, 0, 0), x, 4000, 0, 0)
    figure("Approximation gap of a diagonal posterior, linear model, nats", np.mean(exact - found), f"{gap:.4f} ± .02")
    figure("Amortization gap of the optimal linear encoder, nats", np.mean(found - amortized), "0 ± .02")
    assert np.mean(exact - found) == pytest.approx(gap, abs=0.02)
    assert np.mean(found - amortized) == pytest.approx(0, abs=0.02)
    off = features + tf.constant([0.05, 0, 0, 0, 0, 0])  # another encoder: its gap is M_11 .05^2 / 2
    worse = own.bound(off, x, 4000, 0, 0)
    regained = own.bound(own.optimized(off, x, 0, 0), x, 4000, 0, 0)
    expected = precision[0, 0] * 0.05**2 / 2
    figure("Amortization gap of one latent off by .05, nats", np.mean(regained - worse), f"{expected:.4f} ± .02")
    assert np.mean(regained - worse) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("family", "tolerance"), [(full_covariance, 0.02), (flow, None)])
def test_a_richer_family_closes_the_gap(program, family, tolerance, figure):
    """A full covariance wholly; planar steps in part."""
    model, x, exact, precision = linear_model(program)
    posterior, features = family(model.encode(x), seed_for(0, "family"))
    local = LocalPosterior(model, posterior, 500, 0.03)
    left = exact - local.bound(local.optimized(features, x, 0, 0), x, 2000, 0, 0)
    gap = approximation_gap(precision)
    what = "0 ± .02" if tolerance else f"below {gap:.4f}, that of a diagonal one"
    figure(f"Gap that is left by a {family.__name__.replace('_', ' ')}, linear model, nats", left.mean(), what)
    assert left.mean() < 0.02 if tolerance else 0 < left.mean() < 0.9 * gap


def test_annealing_meets_the_exact_log_likelihood_and_both_ways_enclose_it(program, figure):
    model, x, exact, _ = linear_model(program)
    sampler = AnnealedSampler(model, x.shape[1:], 100, 5)
    sizes = sampler.adapted(x, 4, 0, 0)
    assert len(np.unique(sizes.numpy()[-1])) > 1  # each image has its own
    found = sampler.forward(x, 10, sizes, 0, 0)
    error = found - exact
    figure("Annealed minus exact log p(x), linear model, 100 steps, nats", error.mean(), "0 ± .05")
    assert abs(error.mean()) < 0.05
    np.testing.assert_array_equal(sampler.forward(x, 10, sizes, 0, 0), found)
    assert np.all(sampler.forward(x, 10, sizes, 1, 0) != found)
    # Of few steps, where the bounds are apart: on data that the model made, from the latents that they were made of.
    coarse = AnnealedSampler(model, x.shape[1:], 12, 5)
    z = model.latent_prior().sample(ROWS, seed=seed_for(0, "z"))
    made = model.decode(z).sample(seed=seed_for(0, "x"))
    exact = linear_log_likelihood(model, made.numpy(), None)
    sizes = coarse.adapted(made, 4, 0, 0)
    below, above = coarse.forward(made, 2, sizes, 0, 0) - exact, coarse.backward(made, z, 2, sizes, 0, 0) - exact
    figure("Bidirectional bounds around log p(x), 12 steps: below, nats", below.mean(), "below 0")
    figure("Bidirectional bounds around log p(x), 12 steps: above, nats", above.mean(), "above 0")
    for values, sign in ((below, -1), (above, 1)):
        assert sign * values.mean() > 0
        assert sign * values.mean() < 5
    fine = AnnealedSampler(model, x.shape[1:], 100, 5)
    sizes = fine.adapted(made, 4, 0, 0)
    gap = fine.backward(made, z, 10, sizes, 0, 0) - fine.forward(made, 10, sizes, 0, 0)
    figure("Share of their gap that is left at 100 steps", gap.mean() / (above - below).mean(), "above 0, below .25")
    assert 0 < gap.mean() < 0.25 * (above - below).mean()


GAPS = tuple(
    f"evaluation.gaps.{word}"
    for word in (
        "images=30", "annealing_steps=60", "chains=8", "leapfrog_steps=5", "optimization_steps=150",
        "learning_rate=0.03", "samples=400", "families=[full_covariance,flow]", "simulated=10",
    )
)  # fmt: skip


def log_likelihood_on_a_grid(model, x):
    """log p(x) of two latents by quadrature, float64 [N]: a smooth integrand that vanishes at the ends."""
    points = np.linspace(-6, 6, 161)
    z = np.stack(np.meshgrid(points, points), axis=-1).reshape(-1, 2).astype(np.float32)
    parameters, log_prior = model.likelihood_parameters(z), model.latent_prior().log_prob(z).numpy().astype(float)
    found = []
    for one in x:
        log_joint = model.conditional_log_prob(parameters, one).numpy() + log_prior
        found.append(np.logaddexp.reduce(log_joint) + 2 * np.log(points[1] - points[0]))
    return np.array(found)


@pytest.mark.slow
def test_gaps_of_a_trained_model_are_in_order(program, figure):
    """L[q] <= L[q*] <= log p(x) within four errors of the paired means; annealing and importance sampling meet it."""
    cfg, pixels, built = program("training.jit=false", "latent_size=2", "evaluation.importance_samples=1000", *GAPS)
    for _ in built.trainer.train(tf.constant(pixels.train.pixels), 0, 20):
        pass
    metrics, by_image, _ = final_metrics(built, pixels, cfg)
    found = by_image["test"]
    rows = found["gap_rows"].astype(int)
    assert len(rows) == len(found["ais_log_likelihood"]) == 30
    some = pixels.fixed["test"].rows(rows)
    exact = log_likelihood_on_a_grid(built.model, intensities(some.pixels, some.levels))
    for name in ("amortization_gap", "approximation_gap", "full_covariance_gap", "flow_gap"):
        assert metrics[f"test/{name}"] == pytest.approx(found[name].mean())
        assert metrics[f"test/{name}"] > -4 * metrics[f"test/{name}_se"], name
    assert metrics["test/amortization_gap"] > 0
    annealed = found["ais_log_likelihood"] - exact
    figure("Annealed minus exact log p(x), trained model, 60 steps, nats", annealed.mean(), "0 ± .1")
    assert annealed.mean() == pytest.approx(0, abs=0.1)
    low = found["pareto_k"][rows] < 0.5
    sampled = (found["log_likelihood"][rows] - exact)[low]
    figure("Importance-sampled minus exact log p(x) where k < .5, nats", sampled.mean(), "0 ± .1")
    assert low.sum() > 5
    assert sampled.mean() == pytest.approx(0, abs=0.1)
    assert metrics["test/bidirectional_gap"] > -4 * metrics["test/bidirectional_gap_se"]
    again, _, _ = final_metrics(built, pixels, cfg)
    assert again == metrics


def test_gaps_are_off_unless_asked_for(program):
    cfg, pixels, built = program("training.jit=false", "evaluation.importance_samples=2", "evaluation.splits=[test]")
    metrics, by_image, _ = final_metrics(built, pixels, cfg)
    assert not [name for name in [*metrics, *by_image["test"]] if "gap" in name or "ais" in name]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["posterior=von_mises_fisher", "prior=uniform_sphere"], "posterior=von_mises_fisher are in another space"),
        (["encoder=conv_spatial", "decoder=conv_spatial", "evaluation.gaps.families=[flow]"], "takes flat latents"),
        (["evaluation.gaps.families=[iaf]"], r"families=.* must be a list of: full_covariance, flow"),
        (["evaluation.gaps.chains=0"], "chains=0 must be a whole number of at least 1"),
        (["evaluation.gaps.learning_rate=0"], "learning_rate=0 must be a number above 0"),
    ],
)
def test_gaps_that_cannot_be_worked_out_are_refused_before_work(words, told):
    with pytest.raises(UsageError, match=told):
        compose("evaluation.gaps.images=10", *words)


@pytest.mark.slow
def test_a_finished_run_is_evaluated_again_with_its_gaps(own_home, order_of, tmp_path):
    """As `scripts/evaluate.py run=ID evaluation.gaps.images=5` does: a run beside it, with values of each image."""
    from vae_lab.run.reevaluate import evaluate_run
    from vae_lab.run.work import train
    from vae_lab.tracking.artifacts import fetch_artifact

    small = ("encoder.hidden=[8]", "decoder.hidden=[8]", "latent_size=2", "training.jit=false", "training.epochs=1")
    quick = ("evaluation.importance_samples=5", "evaluation.images_every=0", "evaluation.pictures=false")
    order = order_of(compose(*small, *quick), "gaps", {"vae_lab.arm": "gaps", "vae_lab.overrides": "[]"})
    train(order, lambda result, metrics: None)
    (run,) = order.store.client.search_runs([order.store.experiment_id], "attributes.run_name = 'gaps'")
    fast = ("images=5", "annealing_steps=5", "leapfrog_steps=2", "optimization_steps=5", "samples=50")
    record = evaluate_run(order.store, run.info.run_id, [f"evaluation.gaps.{word}" for word in fast])
    assert record.run_id != run.info.run_id
    with np.load(fetch_artifact(order.store, record.run_id, "evaluation/test.npz", str(tmp_path))) as values:
        gap = values["ais_log_likelihood"] - values["optimal_elbo"]
        assert record.metrics["test/approximation_gap"] == pytest.approx(gap.mean(), rel=1e-12)
        error = values["amortization_gap"].std(ddof=1) / 5**0.5
        assert record.metrics["test/amortization_gap_se"] == pytest.approx(error, rel=1e-12)
        np.testing.assert_array_equal(values["gap_rows"], [0, 90, 180, 269, 359])
    assert record.metrics["test/elbo"] == run.data.metrics["test/elbo"]


@pytest.mark.slow
def test_an_evaluation_that_is_cut_off_finds_again_only_what_it_had_not_found(own_home, order_of, monkeypatch):
    from vae_lab.evaluation import gaps
    from vae_lab.run.work import evaluate, train
    from vae_lab.tracking.records import read_run

    small = ("encoder.hidden=[8]", "decoder.hidden=[8]", "latent_size=2", "training.jit=false", "training.epochs=1")
    quick = ("evaluation.importance_samples=5", "evaluation.images_every=0", "evaluation.pictures=false")
    fast = ("images=60", "annealing_steps=3", "leapfrog_steps=1", "optimization_steps=3", "samples=50")
    order = order_of(compose(*small, *quick), "gaps cut off", {"vae_lab.arm": "gaps", "vae_lab.overrides": "[]"})
    train(order, lambda result, metrics: None)
    (run,) = order.store.client.search_runs([order.store.experiment_id], "attributes.run_name = 'gaps cut off'")
    trained = read_run(order.store, run.info.run_id)
    again = order_of(compose(*small, *quick, *(f"evaluation.gaps.{word}" for word in fast)), "gaps again")
    whole, done, of_chunk = evaluate(again, trained), [], gaps.GapEvaluator.chunk

    def interrupted(self, x, number):
        if number == 2 and len(done) == 2:
            raise KeyboardInterrupt
        done.append(number)
        return of_chunk(self, x, number)

    monkeypatch.setattr(gaps.GapEvaluator, "chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(again, trained)
    (cut,) = order.store.client.search_runs([order.store.experiment_id], "attributes.status = 'KILLED'")
    done.append("goes on")
    assert evaluate(again, trained, cut.info.run_id) == whole
    assert done == [0, 1, "goes on", 2]
    assert not again.checkpoints_of(cut.info.run_id).folder.exists()
