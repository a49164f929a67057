"""The experiment files: each composes and can run, whole and short, and says where its numbers come from."""

import math
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pytest
import yaml
from conftest import CHECKOUT
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from vae_lab.config import checks
from vae_lab.config.checks.facts import data_fact
from vae_lab.config.compose import compose, compose_unchecked, plain
from vae_lab.config.settings import settings_of
from vae_lab.layers.conv_sizes import layer_sizes
from vae_lab.run.job import run_job
from vae_lab.study.identity import identity_of
from vae_lab.study.jobs import checked_plan
from vae_lab.study.plan import plan, to_override
from vae_lab.study.schema import experiment_schema
from vae_lab.tracking import frame_names
from vae_lab.tracking.records import children, read_run, runs_tagged
from vae_lab.tracking.store import open_store

FOLDER = CHECKOUT / "conf" / "experiment"
EXPERIMENTS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
MARKS = {"S", "Q", "C", "M"}

MNIST = {"data": "mnist 28x28", "training rows": 50_000}
BETAS = {"beta-1": {"estimator.beta": 1}, "beta-2": {"estimator.beta": 2}}
PROBABILISTIC_LAYERS = MNIST | {
    "pixels": "dynamic",
    "encoder": [
        "conv_deep leaky_relu",
        "conv 32 of 5x5 stride 1 valid: 24x24",
        "conv 32 of 5x5 stride 2 same: 12x12",
        "conv 64 of 5x5 stride 1 valid: 8x8",
        "conv 64 of 5x5 stride 2 same: 4x4",
        "conv 128 of 4x4 stride 1 valid: 1x1",
    ],
    "latents": 3,
    "posterior": "mvn_tril softplus",
    "prior": "mvn",
    "decoder": [
        "conv relu",
        "dense 7x7x32",
        "transposed 64 of 5x5 stride 2 same: 14x14",
        "transposed 32 of 5x5 stride 2 same: 28x28",
        "transposed 1 of 5x5 stride 1 same: 28x28",
    ],
    "likelihood": "bernoulli",
    "estimator": "monte_carlo, 1 sample",
    "arms": BETAS,
    "optimizer": "Adam 0.001",
    "batch": 32,
    "epochs": 3,
}
SQUARED_ERROR = "normal, scale fixed 0.707107, loc sigmoid"
DENSE_L2 = MNIST | {
    "pixels": "none",
    "encoder": ["mlp leaky_relu", "dense 512", "dense 256", "dense 128"],
    "latents": 16,
    "posterior": "mvn_diag exp",  # its features are log scales
    "prior": "mvn",
    "decoder": ["mlp leaky_relu", "dense 128", "dense 256", "dense 512"],
    "likelihood": SQUARED_ERROR,
    "estimator": "analytic_kl, 1 sample",
    "arms": {"dense-l2": {}},
    "optimizer": "Adam 0.001",
    "batch": 100,
    "epochs": 20,
}
CVAE = MNIST | {
    "training rows": 60_000,
    "pixels": "threshold",
    "encoder": [
        "conv relu",
        "conv 32 of 3x3 stride 2 valid: 13x13",
        "conv 64 of 3x3 stride 2 valid: 6x6",
    ],
    "latents": 2,
    "posterior": "mvn_diag sqrt_exp",  # its features are log variances
    "prior": "mvn",
    "decoder": [
        "conv relu",
        "dense 7x7x32",
        "transposed 64 of 3x3 stride 2 same: 14x14",
        "transposed 32 of 3x3 stride 2 same: 28x28",
        "transposed 1 of 3x3 stride 1 same: 28x28",
    ],
    "likelihood": "bernoulli",
    "estimator": "monte_carlo, 1 sample",
    "arms": {"latent-2": {"latent_size": 2}},
    "optimizer": "Adam 0.0001",
    "batch": 32,
    "epochs": 10,
}
# The published systems, as their sources describe them. What a source leaves open (the epochs of dense_l2, gaussian_toy
# and spatial_latent, the batch and the learning rate of the last) is what the file settles.
SYSTEMS = {
    "probabilistic_layers": PROBABILISTIC_LAYERS,
    "probabilistic_layers_mixture": PROBABILISTIC_LAYERS | {"prior": "mixture, 25 components, covariance full"},
    "fashion_normal": {
        "data": "fashion_mnist 32x32",
        "training rows": 50_000,
        "pixels": "none",
        "encoder": [
            "conv relu",
            "conv 4 of 3x3 stride 2 valid: 15x15",
            "conv 16 of 3x3 stride 2 valid: 7x7",
        ],
        "latents": 16,
        "posterior": "mvn_diag softplus",
        "prior": "mvn",
        "decoder": [
            "conv relu",
            "dense 8x8x1",
            "transposed 16 of 3x3 stride 2 valid: 17x17",
            "transposed 8 of 3x3 stride 2 valid: 35x35",
            "conv 1 of 4x4 stride 1 valid: 32x32",
        ],
        "likelihood": "normal, scale fixed 1, loc linear",
        "estimator": "analytic_kl, 1 sample",
        "arms": {
            "one-sample": {"estimator.samples": 1},
            "five-samples": {"estimator.samples": 5},
            "learned-scale": {"likelihood.scale": "shared"},
        },
        "optimizer": "Adam 0.01",
        "batch": 128,
        "epochs": 10,
    },
    "dense_l2": DENSE_L2,
    "gaussian_toy": DENSE_L2
    | {
        "data": "gaussian_toy 1x10",
        "training rows": 10_000,
        "likelihood": "normal, scale fixed 0.707107, loc linear",
        "arms": {"fixed-scale": {"likelihood.scale": "fixed"}, "learned-scale": {"likelihood.scale": "shared"}},
    },
    "spatial_latent": MNIST
    | {
        "pixels": "none",
        "encoder": [
            "conv_spatial relu",
            "conv 64 of 9x9 stride 1 valid: 20x20",
            "conv 64 of 7x7 stride 1 valid: 14x14",
            "conv 64 of 3x3 stride 2 same: 7x7",
        ],
        "latents": 32,  # channels of the 7x7 grid
        "posterior": "mvn_diag exp",
        "prior": "mvn",
        "decoder": [
            "conv_spatial relu",
            "transposed 64 of 3x3 stride 2 same: 14x14",
            "transposed 64 of 7x7 stride 1 valid: 20x20",
            "transposed 64 of 9x9 stride 1 valid: 28x28",
            "conv 1 of 3x3 stride 1 same: 28x28",
        ],
        "likelihood": SQUARED_ERROR,
        "estimator": "analytic_kl, 1 sample",
        "arms": {"spatial": {}},
        "optimizer": "Adam 0.001",
        "batch": 100,
        "epochs": 5,
    },
    "cvae_tutorial": CVAE,
    "cvae_tutorial_latent50": CVAE
    | {"latents": 50, "arms": {"latent-50": {"latent_size": 50}}, "batch": 100, "epochs": 100},
    "tfp_tutorial": MNIST
    | {
        "training rows": 60_000,
        "pixels": "dynamic",
        "encoder": [
            "conv_deep leaky_relu",
            "conv 32 of 5x5 stride 1 same: 28x28",
            "conv 32 of 5x5 stride 2 same: 14x14",
            "conv 64 of 5x5 stride 1 same: 14x14",
            "conv 64 of 5x5 stride 2 same: 7x7",
            "conv 64 of 7x7 stride 1 valid: 1x1",
        ],
        "latents": 16,
        "posterior": "mvn_tril softplus",
        "prior": "mvn",
        "decoder": [
            "conv leaky_relu",
            "dense 7x7x64",
            "transposed 64 of 5x5 stride 1 same: 7x7",
            "transposed 64 of 5x5 stride 2 same: 14x14",
            "transposed 32 of 5x5 stride 1 same: 14x14",
            "transposed 32 of 5x5 stride 2 same: 28x28",
            "transposed 32 of 5x5 stride 1 same: 28x28",
            "conv 1 of 5x5 stride 1 same: 28x28",
        ],
        "likelihood": "bernoulli",
        "estimator": "monte_carlo, 1 sample",
        "arms": BETAS,
        "optimizer": "Adam 0.001",
        "batch": 256,
        "epochs": 15,
    },
}


def read(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def header(name):
    """The comments above the first setting, without their marks."""
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[1:first])


def data_of(name):
    """The data set that an experiment overrides."""
    return next((d["override /data"] for d in read(name).get("defaults", []) if "override /data" in d), "digits")


def first_job(name):
    """The configuration of an experiment's first arm at its first seed."""
    study = plain(compose_unchecked(f"experiment={name}").study)
    return compose_unchecked(*plan(study, {"experiment": [name]})[0].overrides)


def times(size):
    return "x".join(str(length) for length in size)


def network(option, start, kinds, filters):
    """What a network is made of, a line a layer; and the size of what leaves it."""
    lines = [f"{option.name} {option.activation}"]
    if "hidden" in option and "kernels" not in option:
        return lines + [f"dense {units}" for units in option.hidden], None
    assert not option.get("hidden")
    if "base" in option:
        lines.append(f"dense {times(option.base)}")
    sizes = layer_sizes(start, option.kernels, option.strides, option.paddings, kinds)
    for layer in zip(kinds, filters, option.kernels, option.strides, option.paddings, sizes[1:], strict=True):
        kind, channels, kernel, stride, padding, size = layer
        lines.append(f"{kind} {channels} of {kernel}x{kernel} stride {stride} {padding}: {times(size)}")
    return lines, sizes[-1]


def system(name):
    """An experiment's first arm in the words of `SYSTEMS`."""
    cfg = first_job(name)
    height, width, channels = data_fact(cfg, "image_shape")
    filters = cfg.encoder.get("filters")
    if cfg.encoder.name == "conv_spatial":  # its last layer gives mean and scale of each latent
        filters = [*filters, 2 * cfg.latent_size]
    encoder, grid = network(cfg.encoder, (height, width), ["conv"] * len(filters or []), filters)
    start = cfg.decoder.get("base", grid)
    last = [*cfg.decoder.get("filters", []), channels]
    decoder, size = network(cfg.decoder, start, cfg.decoder.get("kinds"), last)
    assert size in (None, (height, width))
    mixture = {"mixture": ", {components} components, covariance {covariance}"}.get(cfg.prior.name, "")
    normal = {"normal": ", scale {scale} {initial_scale:g}, loc {loc_activation}"}.get(cfg.likelihood.name, "")
    assert (cfg.estimator.groups, cfg.estimator.warmup_epochs, cfg.estimator.free_bits) == (1, 0, 0)
    assert (cfg.schedule._target_, cfg.training.loss_reduction) == ("vae_lab.schedule.constant", "mean")
    return {
        "data": f"{cfg.data.name} {height}x{width}",
        "training rows": data_fact(cfg, "training_rows") - cfg.data.validation_size,
        "pixels": cfg.binarization.name,
        "encoder": encoder,
        "latents": cfg.latent_size,
        "posterior": f"{cfg.posterior.name} {cfg.posterior.scale_activation}",
        "prior": cfg.prior.name + mixture.format(**cfg.prior),
        "decoder": decoder,
        "likelihood": cfg.likelihood.name + normal.format(**cfg.likelihood),
        "estimator": f"{cfg.estimator.name}, {cfg.estimator.samples} sample",
        "arms": plain(cfg.study)["arms"],
        "optimizer": f"{cfg.optimizer._target_.rpartition('.')[-1]} {cfg.optimizer.learning_rate}",
        "batch": cfg.training.batch_size,
        "epochs": cfg.training.epochs,
    }


def jobs_of(name, **given):
    study = plain(compose_unchecked(f"experiment={name}").study)
    words = {"experiment": [name], **{key: [value] for key, value in given.items()}}
    return checked_plan(study, words, lambda overrides: compose_unchecked(*overrides))


@pytest.mark.parametrize("form", ["whole", "short"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_job_composes_and_can_run(name, form, monkeypatch):
    """Each arm at one seed; whether the data's files are at hand is not asked."""
    without_files = tuple(check for check in checks.CHECKS if check is not checks.check_files)
    assert len(without_files) == len(checks.CHECKS) - 1
    monkeypatch.setattr(checks, "CHECKS", without_files)
    short = {"short": "true"} if form == "short" else {}
    assert len(jobs_of(name, seed="0", **short)) == len(read(name)["study"]["arms"])


@pytest.mark.parametrize("name", SYSTEMS)
def test_published_system_is_as_its_source_describes_it(name):
    assert system(name) == SYSTEMS[name]


@pytest.mark.parametrize("name", SYSTEMS)
def test_header_tells_the_training_rows(name):
    assert f"{SYSTEMS[name]['training rows']:,} training rows" in " ".join(header(name).split())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_header_gives_source_and_expectation(name):
    """What no source gave has no mark of one; and a header without a number says that there is none."""
    text, study = header(name), read(name)["study"]
    assert re.search(r"^Source: \S", text, re.MULTILINE)
    expected = re.search(r"^Expect: (.*(?:\n.+)*)", text, re.MULTILINE).group(1)
    if expected.startswith("no number was published."):
        assert "expected" not in study
        assert not re.search(r"\([SQM]\b", text)
    else:
        assert re.search(rf"\([{''.join(MARKS)}]\b", expected)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_header_gives_command_and_cost(name):
    text = header(name)
    assert re.search(rf"^  (python scripts/train.py|make demo .*) experiment={name}\b", text, re.MULTILINE)
    assert re.search(r"^Cost: .*\b(second|minute|hour)s?\b", text, re.MULTILINE)
    assert read(name)["hydra"] == {"mode": "MULTIRUN"}
    assert read(name)["study"]["question"].endswith("?")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_expected_values_name_their_arms_source_and_mark(name):
    study = read(name)["study"]
    for entry in study.get("expected", []):
        arms = set(entry.get("difference", [entry.get("arm")]))
        assert arms <= set(study["arms"])
        assert entry["source"]
        assert entry["mark"] in MARKS
        assert re.search(rf"\({entry['mark']}\b", header(name))
        if "difference" in entry:
            lowest, highest = entry["between"]
            assert lowest is None or highest is None or lowest < highest
            assert len(arms) == 2
        else:
            assert entry["tolerance"] > 0
            is_bound = re.fullmatch(r"\w+/(elbo|log_likelihood)", entry["metric"]) is not None
            if is_bound and not first_job(name).likelihood.facts.discrete:
                continue  # a density may be above one
            assert (entry["value"] < 0) == is_bound  # losses, rates and distortions are positive


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_short_form_says_what_it_shrinks(name):
    short = read(name)["study"]["short"]
    assert short["training.epochs"] <= 20
    assert short.get("seeds", read(name)["study"]["seeds"]) == [0]


def test_short_is_no_part_of_a_run_s_identity():
    (job,) = jobs_of("pytorch_vae", short="true", seed="0")[:1]
    same = [override for override in job.overrides if override != "short=true"]
    long, short = (compose_unchecked(*overrides) for overrides in (same, job.overrides))
    assert (short.short, long.short) == (True, False)
    assert identity_of(settings_of(short)) == identity_of(settings_of(long))


@pytest.mark.parametrize("name", SYSTEMS)
def test_pictures_of_few_latents_and_few_epochs(name):
    """Two or three latents are also drawn as a page to turn; a training of ten epochs or fewer is filmed at each."""
    cfg = plain(first_job(name))
    assert ("latent_space" in DRAWN[name]) == (cfg["latent_size"] <= 3)
    assert cfg["evaluation"]["pictures"] == ("all" if cfg["latent_size"] <= 3 else True)
    assert (cfg["evaluation"]["images_every"] == 1) == (cfg["training"]["epochs"] <= 10)


DRAWN_FOR_ALL = {"reconstructions", "prior_samples", "traversals", "interpolations", "latent_density", "loss_curves"}
# What the short form draws beside these.
DRAWN = {
    "probabilistic_layers": {"class_means", "training", "latent_space"},
    "probabilistic_layers_mixture": {"class_means", "training", "latent_space"},
    "fashion_normal": {"class_means", "training"},
    "dense_l2": {"class_means"},
    "gaussian_toy": set(),
    "spatial_latent": {"class_means", "training"},
    "cvae_tutorial": {"class_means", "training", "latent_grid", "latent_space"},
    "cvae_tutorial_latent50": {"class_means"},
    "tfp_tutorial": {"class_means"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_short_form_of_a_published_system_runs(name, tmp_path, monkeypatch):
    """Every arm, without data files: finished in the store, with the study's metric, its pictures and its frames."""
    monkeypatch.setenv("VAE_LAB_HOME", str(tmp_path))
    monkeypatch.delenv("VAE_LAB_DATA", raising=False)
    study, jobs = read(name)["study"], jobs_of(name, short="true", seed="0", **{"training.jit": "false"})
    assert [job.arm for job in jobs] == list(study["arms"])
    for job in jobs:
        overrides = [*job.overrides, to_override("sweep.arm", job.arm)]
        cfg = compose(*overrides)
        value = run_job(cfg, overrides, {"experiment": name})
        store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)
        (record,) = runs_tagged(store, "vae_lab.evaluation", job.identity.evaluation)
        assert (record.status, record.tags["vae_lab.arm"]) == ("FINISHED", job.arm)
        assert record.tags["vae_lab.experiment"] == name
        assert record.params["data.name"] == ("gaussian_toy" if name == "gaussian_toy" else "digits")
        assert math.isfinite(record.metrics[study["metric"]])
        assert math.isfinite(record.metrics["test/elbo"])
        np.testing.assert_equal(value, record.metrics.get("val/elbo", math.nan))  # what a search would be told
        artifacts = Path(url2pathname(urlparse(record.artifacts).path))
        assert {path.stem for path in (artifacts / "pictures").iterdir()} == DRAWN_FOR_ALL | DRAWN[name]
        found = [frame_names.parse(path.name) for path in artifacts.glob(f"{frame_names.FOLDER}/*.png")]
        steps = sorted(frame.step for frame in found if frame and frame.key == "prior_samples")
        assert steps == ([0, 1] if "training" in DRAWN[name] else [])


@pytest.mark.slow
def test_short_form_runs_by_the_command(tmp_path):
    """On digits: every job is finished and has the study's metric."""
    name = "fashion_normal"
    done = subprocess.run(
        [sys.executable, "scripts/train.py", f"experiment={name}", "short=true", "training.jit=false"],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "VAE_LAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    study = read(name)["study"]
    parent = re.search(r"^sweep: (\w+)$", done.stdout, re.MULTILINE).group(1)
    store = open_store(f"sqlite:///{tmp_path}/outputs/mlflow.db", "vae_lab")
    jobs = children(store, parent)
    assert read_run(store, parent).status == "FINISHED"
    assert [job.tags["vae_lab.arm"] for job in jobs] == list(study["arms"])
    assert all(study["metric"] in job.metrics and job.params["data.name"] == "digits" for job in jobs)
    assert "short" not in jobs[0].params


@pytest.fixture(scope="module")
def validator():
    schema = experiment_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_is_of_the_schema_that_editors_check_by(name, validator):
    validator.validate(read(name))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("studdy: {}", "studdy"),
        ("training: {epoch: 3}", "epoch"),
        ("training: {epochs: many}", "many"),
        ("encoder: {widths: [3]}", "widths"),
        ("study: {arms: {a: {priour: mvn}}, seeds: [0]}", "priour"),
        ("study: {arms: {a: {prior: mvm}}, seeds: [0]}", "mvm"),
        ("study: {arms: {a: {prior.component: 3}}, seeds: [0]}", "prior.component"),
        ("study: {arms: {a: {}}, seeds: [0, 0]}", "[0, 0]"),
        ("study: {arms: {a: {}}, seeds: [0], expected: [{arm: a, mark: X}]}", "X"),
        ("defaults: [override /prior: mixtur]", "mixtur"),
    ],
)
def test_the_schema_finds(written, told, validator):
    error = best_match(validator.iter_errors(yaml.safe_load(written)))
    assert told in str(error.message) + str(error.instance)


def test_the_schema_explains_settings_by_their_comments():
    training = experiment_schema()["properties"]["training"]["properties"]
    assert training["select"]["description"].startswith("weights that are evaluated and kept")
