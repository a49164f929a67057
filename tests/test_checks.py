"""What is refused before any work, and how it is said."""

import re
import subprocess
import sys

import pytest
from conftest import CHECKOUT
from hydra.errors import HydraException

from vae_lab.config.compose import compose
from vae_lab.config.overrides import check_overrides
from vae_lab.errors import UsageError

ILLEGAL = {
    "analytic_kl with a mixture": (
        ["prior=mixture"],
        "estimator=analytic_kl needs KL(posterior, prior) in closed form, which posterior=mvn_diag does not have with "
        "prior=mixture.\nUse estimator=monte_carlo, or prior=mvn",
    ),
    "bernoulli on grey pixels": (
        ["binarization=none"],
        "likelihood=bernoulli needs binary pixels, and data=digits with binarization=none has grey ones.\n"
        "Use binarization=dynamic, static or threshold; or likelihood.allow_grey=true",
    ),
    "binarization of binary data": (
        ["data=binarized_mnist", "binarization=static"],
        "binarization=static has nothing to do on data=binarized_mnist, which is binary already; use binarization=none",
    ),
    "decoder of another size": (
        ["encoder=conv", "decoder=conv"],
        "decoder=conv makes 28x28 images from decoder.base=[7, 7, 32], and data=digits has 8x8; change decoder.base",
    ),
    "kernel that does not fit": (
        ["encoder=conv", "encoder.kernels=[9,3]"],
        "encoder=conv: a 9x9 kernel with valid padding does not fit what reaches layer 1, 8x8",
    ),
    "lists of different lengths": (
        ["encoder=conv", "encoder.strides=[2]"],
        "encoder.strides=[2] has 1 entries for 2 layers (encoder.filters=[32, 64])",
    ),
    "unknown padding": (["encoder=conv", "encoder.paddings=[valid,full]"], "must be same or valid"),
    "batch above the rows": (["training.batch_size=5000"], "training.batch_size=5000 is more than the 1200 training"),
    "no training rows": (["data.validation_size=1437"], "data.validation_size=1437 leaves no training rows"),
    "validation file of another size": (
        ["data=binarized_mnist", "data.validation_size=5"],
        "data=binarized_mnist has a validation file of its own; use 10000, or 0",
    ),
    "best without validation": (
        ["training.select=best", "data.validation_size=0"],
        "training.select=best compares by val/elbo, and data.validation_size=0 leaves none; use last",
    ),
    "early stopping without validation": (
        ["training.early_stopping.patience=3", "data.validation_size=0"],
        "training.early_stopping.patience watches val/elbo",
    ),
    "no latents": (["latent_size=0"], "latent_size=0 must be a whole number of at least 1"),
    "half a sample": (["estimator.samples=1.5"], "estimator.samples=1.5 must be a whole number of at least 1"),
    "no components": (
        ["prior=mixture", "estimator=monte_carlo", "prior.components=0"],
        "prior.components=0 must be a whole number of at least 1",
    ),
    "negative epochs": (["training.epochs=-1"], "training.epochs=-1 must be a whole number of at least 0"),
    "negative rate": (["optimizer.learning_rate=-1"], "optimizer.learning_rate=-1 must be a number above 0"),
    "negative beta": (["estimator.beta=-1"], "estimator.beta=-1 must be a number of at least 0"),
    "two clippings": (
        ["optimizer.clipnorm=1", "optimizer.global_clipnorm=1"],
        "optimizer.clipnorm and optimizer.global_clipnorm exclude each other",
    ),
    "scale below its floor": (
        ["likelihood=normal", "likelihood.scale=shared", "likelihood.initial_scale=1e-4"],
        "likelihood.initial_scale=0.0001 must be above likelihood.scale_floor=0.001",
    ),
    "range of scales upside down": (
        ["posterior.raw_scale_range=[2,-6]"],
        "posterior.raw_scale_range=[2, -6] must be two rising numbers",
    ),
    "short without a short form": (["short=true"], "short=true needs an experiment that has a short form"),
    "unknown choice": (["training.select=first"], "training.select=first is not one of: last, best"),
    "unknown scale": (["likelihood=normal", "likelihood.scale=free"], "not one of: fixed, shared, per_pixel"),
    "beta with importance weights": (
        ["estimator=importance_weighted", "estimator.beta=2"],
        "estimator.beta=2 weighs the rate, and the bound of estimator=importance_weighted has none of its own",
    ),
    "free bits with importance weights": (
        ["estimator=doubly_reparameterized", "estimator.free_bits=1"],
        "estimator.free_bits=1 weighs the rate",
    ),
    "order that is none": (
        ["estimator=renyi", "estimator.alpha=inf"],
        "estimator.alpha=inf must be a number, or -inf for the largest weight alone",
    ),
    "order in words": (["estimator=renyi", "estimator.alpha=max"], "estimator.alpha=max must be a number, or -inf"),
    "beta of a Renyi bound": (["estimator=renyi", "estimator.beta=2"], "the bound of estimator=renyi has none of its"),
    "more than all of the ELBO": (
        ["estimator=combination_importance_weighted", "estimator.elbo_weight=1.5"],
        "estimator.elbo_weight=1.5 must be a number from 0 to 1",
    ),
    "partition that falls": (
        ["estimator=thermodynamic", "estimator.partition=[0,0.5,0.4,1]"],
        "estimator.partition=[0, 0.5, 0.4, 1] must be numbers that rise from 0 to 1",
    ),
    "partition of less than the interval": (
        ["estimator=thermodynamic", "estimator.partition=[0,0.5]"],
        "estimator.partition=[0, 0.5] must be numbers that rise from 0 to 1",
    ),
    "partition from 1 to 1": (
        ["estimator=thermodynamic", "estimator.smallest_beta=1"],
        "estimator.smallest_beta=1 must be a number above 0 and below 1",
    ),
    "no intervals": (["estimator=thermodynamic", "estimator.intervals=0"], "estimator.intervals=0 must be a whole"),
    "covariance of one sample": (
        ["estimator=thermodynamic", "estimator.samples=1"],
        "estimator.samples=1: estimator=thermodynamic sets each sample of a group against the others; use 2 or more",
    ),
    "foreign density of a flow, without differentiable draws": (
        ["estimator=thermodynamic", "posterior=iaf"],
        "estimator=thermodynamic needs the posterior's density at latents it did not draw",
    ),
    "best of a warm-up": (
        ["training.select=best", "training.epochs=20", "estimator.warmup_epochs=60"],
        "training.select=best takes no epoch of the warm-up, and estimator.warmup_epochs=60 leaves none of "
        "training.epochs=20; train longer, or use last",
    ),
    "best of cycles that always rise": (
        ["training.select=best", "estimator.warmup_epochs=5", "estimator.cycle_epochs=5"],
        "training.select=best takes no epoch of the warm-up",
    ),
    "stop within a warm-up that the best is not of": (
        [
            "training.select=best",
            "training.early_stopping.patience=2",
            "training.early_stopping.start_from_epoch=3",
            "estimator.warmup_epochs=10",
        ],
        "training.early_stopping.start_from_epoch=3 can stop within estimator.warmup_epochs=10",
    ),
    "cycles without a warm-up": (["estimator.cycle_epochs=10"], "repeats a warm-up of estimator.warmup_epochs=0"),
    "foreign density of a flow": (
        ["estimator=sticking_the_landing", "posterior=iaf"],
        "estimator=sticking_the_landing needs the posterior's density at latents it did not draw",
    ),
    "mixture of a flow's densities": (
        ["estimator=monte_carlo", "posterior=iaf", "prior=vamp"],
        "prior=vamp needs the posterior's density at latents it did not draw",
    ),
    "full covariance on a grid": (
        ["encoder=conv_spatial", "decoder=conv_spatial", "posterior=mvn_tril"],
        "encoder=conv_spatial keeps the latent's grid, and posterior=mvn_tril needs a flat latent",
    ),
    "grid decoder of a flat latent": (["decoder=conv_spatial"], "decoder=conv_spatial takes latents on a grid"),
    "coupling of one latent": (
        ["prior=flow", "estimator=monte_carlo", "latent_size=1"],
        "prior=flow couples halves of the latent, and latent_size=1 has none",
    ),
    "Gaussian prior of a sphere": (
        ["posterior=von_mises_fisher"],
        "posterior=von_mises_fisher is over sphere and prior=mvn over reals",
    ),
    "uniform sphere for a Gaussian": (
        ["prior=uniform_sphere"],
        "posterior=mvn_diag is over reals and prior=uniform_sphere over sphere",
    ),
    "sphere of one latent": (
        ["posterior=power_spherical", "prior=uniform_sphere", "latent_size=1"],
        "posterior=power_spherical is on the unit sphere of R^latent_size, and latent_size=1 has none",
    ),
    "concentration floor below zero": (
        ["posterior=von_mises_fisher", "prior=uniform_sphere", "posterior.concentration_floor=-1"],
        "posterior.concentration_floor=-1 must be a number of at least 0",
    ),
    "levels of continuous pixels": (
        ["likelihood=categorical", "binarization=dequantized"],
        "likelihood=categorical scores grey levels, and binarization=dequantized leaves none",
    ),
    "hidden that is no list": (["encoder.hidden=5"], "encoder.hidden=5 must be a list of whole numbers"),
    "null for a count": (["latent_size=null"], "latent_size=null must be a whole number of at least 1"),
    "null for a rate": (["optimizer.learning_rate=null"], "optimizer.learning_rate=null must be a number above 0"),
    "unknown activation": (["encoder.activation=reluu"], "encoder.activation=reluu is not one of: celu, elu"),
    "unknown initializer": (["decoder.initializer=glorot"], "decoder.initializer=glorot is not one of: glorot_normal"),
    "unknown split": (["evaluation.log_likelihood_of=[tests]"], "must be a list of train, val, test"),
    "a word for a list of splits": (["evaluation.log_likelihood_of=test"], "must be a list of train, val, test"),
    "likelihood of a split left out": (
        ["evaluation.splits=[test]", "evaluation.log_likelihood_of=[train]"],
        "evaluation.log_likelihood_of=['train'] must be a list of test",
    ),
    "splits without test": (["evaluation.splits=[train]"], "evaluation.splits=['train'] must be a list of train, val"),
    "one draw of a variance": (["evaluation.gradient_draws=1"], "evaluation.gradient_draws=1 has no variance"),
    "unknown picture": (
        ["evaluation.pictures=[recon]"],
        "must be true, false, all, or a list of: reconstructions",
    ),
    "a word for a list of pictures": (
        ["evaluation.pictures=some"],
        "evaluation.pictures=some must be true, false, all",
    ),
    "patience that is no number": (["training.early_stopping.patience=x"], "early_stopping.patience=x must be a whole"),
    "data folder that is none": (
        ["data=mnist", "data.dir=/nowhere/at/all"],
        "data.dir=/nowhere/at/all is not a folder",
    ),
    "experiment without a name": (["tracking.experiment_name="], "tracking.experiment_name is empty"),
    "checkpoints at no time": (["training.checkpoint_seconds=null"], "training.checkpoint_seconds=null must be a num"),
    "seed beyond 32 bits": (["evaluation.seed=3000000000"], "evaluation.seed=3000000000 must be below 2^31"),
    "more factors than stages": (
        ["schedule=piecewise", "schedule.epochs=[5]"],
        "schedule.epochs=[5] must rise, and schedule.factors=[1.0, 0.3, 0.1] must have one more",
    ),
    "hidden without units": (["encoder.hidden=[0]"], "encoder.hidden=[0] must be a list of whole numbers"),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal_configuration_is_refused_with_a_way_out(case):
    overrides, message = ILLEGAL[case]
    with pytest.raises(UsageError) as error:
        compose(*overrides)
    assert message in str(error.value)
    assert str(error.value).count("\n") <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.learning_rate=interval(1e-4,1e-3)"], "has no list of values; use commas"),
        (["seed=0,1", "seed=2"], "seed is given twice"),
        (["seed=0,0"], "seed is given the value 0 twice"),
        (["experiment=quickstart,gaussian_toy"], "experiment=quickstart,gaussian_toy: a sweep is of one study"),
        (
            ["seed=0,1", "hydra/launcher=workers", "hydra.launcher.n_jobs=0"],
            "hydra.launcher.n_jobs=0 must be at least 1",
        ),
    ],
)
def test_sweeps_without_a_plan_are_refused(words, message, tmp_path):
    done = subprocess.run(
        [sys.executable, "scripts/train.py", "-m", *words],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "VAE_LAB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+prio=mixture"], "there is no setting prio, and nothing would read it; did you mean prior or posterior?"),
        (["+prior.component=3"], "there is no setting prior.component"),
        (["seed=1", "training.epochs=2", "seed=2"], "seed is given twice"),
    ],
)
def test_overrides_that_nothing_would_read_are_refused(overrides, message):
    """Hydra takes what has a plus, and of two values the last."""
    with pytest.raises(UsageError, match=re.escape(message)):
        check_overrides(overrides, compose(*overrides))


def test_a_setting_of_a_library_class_may_be_added():
    check_overrides(["+optimizer.weight_decay=0.1", "prior=mvn"], compose("+optimizer.weight_decay=0.1"))


def test_a_part_without_its_file_is_refused():
    with pytest.raises(UsageError, match=r"prior=mvn: its _target_ is in vae_lab.prior.student, and there is no such"):
        compose("prior._target_=vae_lab.prior.student.Student")


@pytest.mark.parametrize("override", ["prior=mixtur", "prior.component=3", "optimizer.learning_rat=1"])
def test_misspelt_options_and_keys_are_refused_by_hydra(override):
    with pytest.raises(HydraException):
        compose("prior=mixture", "estimator=monte_carlo", override)


def test_grey_targets_are_legal_when_asked_for():
    assert compose("binarization=none", "likelihood.allow_grey=true").likelihood.allow_grey


def test_binary_data_takes_no_binarization_by_itself(data_dir):
    assert compose("data=binarized_mnist", f"data.dir={data_dir}").binarization.name == "none"


@pytest.mark.parametrize(
    "words",
    [
        ["prior=mixture"],
        ["-m", "prior=mvn,mixture", "seed=0,1"],
        ["experiment=quickstart", "prior=mixture", "estimator=analytic_kl"],
    ],
)
def test_commands_refuse_without_importing_tensorflow(words, tmp_path):
    """The whole sweep stops before its first job: exit code 2, both options named, no TensorFlow, no store."""
    done, output = started(words, tmp_path)
    assert done == 2, output
    assert "estimator=analytic_kl" in output
    assert "prior=mixture" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--help"], 0, "prior=\n  autoregressive "),
        (["--cfg", "job"], 0, "checkpoint_seconds: 20"),
        (["+prio=mixture"], 2, "there is no setting prio"),
        (["prior=mixtur"], 2, "did you mean mixture?"),
    ],
)
def test_commands_answer_without_importing_tensorflow(words, code, message, tmp_path):
    """What asks for no work, and what is misspelt."""
    done, output = started(words, tmp_path)
    assert done == code, output
    assert message in output


def started(words, home):
    """Runs the script with its runs below `home`: its exit code and output. It may import nothing heavy, or store."""
    code = (
        "import runpy, sys\n"
        "try:\n"
        "    runpy.run_path('scripts/train.py', run_name='__main__')\n"
        "finally:\n"
        "    print('imported:', [name for name in ('tensorflow', 'mlflow') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "VAE_LAB_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    output = done.stdout + done.stderr
    assert "imported: []" in output
    assert not (home / "outputs" / "mlflow.db").exists()
    return done.returncode, output
