"""Golden values: what a few steps of each part come to. A change of code that moves a number is seen here.

python tests/golden.py

computes them anew and writes tests/golden.json, whose diff is what a reviewer looks at; tests/test_golden.py compares.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".json")
TOLERANCE = 1e-6  # relative
AXES = ("binarization", "encoder", "posterior", "decoder", "likelihood", "prior", "estimator")
PLAIN = {
    "binarization": "static",
    "encoder": "mlp",
    "posterior": "mvn_diag",
    "decoder": "mlp",
    "likelihood": "bernoulli",
    "prior": "mvn",
    "estimator": "monte_carlo",
}
SMALL = ("training.batch_size=25", "latent_size=2", "optimizer.learning_rate=0.001")
# Every option of every axis is in one of these: a new part adds a line.
CONFIGURATIONS: dict[str, dict[str, str]] = {
    "dense": {"estimator": "analytic_kl"},
    "fresh pixels": {"binarization": "dynamic", "estimator": "analytic_kl"},
    "mixture": {"prior": "mixture"},
    "vamp": {"prior": "vamp", "estimator": "importance_weighted", "encoder": "gated_mlp", "decoder": "gated_mlp"},
    "full covariance": {
        "posterior": "mvn_tril", "prior": "mvn_tril", "encoder": "linear", "decoder": "linear",
        "likelihood": "normal", "binarization": "none",
    },
    "flows": {"posterior": "iaf", "prior": "flow", "estimator": "multiply_importance_weighted"},
    "doubly reparameterized": {"estimator": "doubly_reparameterized", "binarization": "threshold"},
    "sticking the landing": {
        "estimator": "sticking_the_landing", "binarization": "dequantized", "likelihood": "continuous_bernoulli",
    },
    "convolutions": {
        "encoder": "conv", "decoder": "conv", "likelihood": "discretized_logistic", "binarization": "none",
    },
    "deep": {"encoder": "conv_deep", "decoder": "resnet", "likelihood": "categorical", "binarization": "none"},
    "grid": {
        "encoder": "conv_spatial", "decoder": "conv_spatial", "likelihood": "laplace", "binarization": "dequantized",
    },
    "renyi": {"estimator": "renyi"},
    "combination": {"estimator": "combination_importance_weighted"},
    "partial": {"estimator": "partially_importance_weighted"},
    "thermodynamic": {"estimator": "thermodynamic"},
    "planar": {"posterior": "planar"},
    "sylvester": {"posterior": "sylvester"},
    "splines": {"posterior": "spline", "prior": "spline"},
    "bits": {"posterior": "bernoulli", "prior": "bernoulli", "estimator": "reinforce_loo"},
    "bits one after the other": {"posterior": "bernoulli", "prior": "autoregressive", "estimator": "vimco"},
    "categories": {"posterior": "categorical", "prior": "categorical", "estimator": "relaxed"},
    "sphere": {"posterior": "von_mises_fisher", "prior": "uniform_sphere"},
    "power spherical": {"posterior": "power_spherical", "prior": "uniform_sphere", "estimator": "analytic_kl"},
    "layers": {"posterior": "bottom_up", "prior": "hierarchical"},
    "ladder": {"posterior": "ladder", "prior": "hierarchical", "estimator": "importance_weighted"},
    "layers under a VampPrior": {"posterior": "ladder", "prior": "hierarchical_vamp"},
    "residual": {"encoder": "resnet", "decoder": "mlp"},
}  # fmt: skip
COMPILED = ("dense", "mixture")  # by XLA too, whose draws are others


def measured(name, compiled=False):
    """The terms, weights and evaluations of a configuration after one epoch of four steps."""
    import tensorflow as tf

    from vae_lab.config import compose, parts
    from vae_lab.config.settings import settings_of
    from vae_lab.data.images import run_images
    from vae_lab.run.program import new_program
    from vae_lab.testing.combination import LEVELS, padded_digits, tiny

    choices = PLAIN | CONFIGURATIONS[name]
    words = [f"{axis}={option}" for axis, option in choices.items()]
    words += [word for axis, option in choices.items() for word in tiny(axis, option)]
    jit = f"training.jit={str(compiled).lower()}"
    settings = settings_of(compose.compose_unchecked("data=mnist", f"data.facts.levels={LEVELS}", *words, *SMALL, jit))
    images = run_images(padded_digits(), parts.make(settings.options["binarization"]))
    program = new_program(settings, images)
    last = list(program.trainer.train(tf.constant(images.train.pixels), 0, 1))[-1]
    values = {f"running/{term}": float(value) for term, value in last.running.items()}
    for part in ("encoder", "posterior", "decoder", "likelihood", "prior"):
        weights = [weight.numpy().astype(np.float64).ravel() for weight in getattr(program.model, part).weights]
        if weights:
            values[f"weights/{part}"] = float(np.linalg.norm(np.concatenate(weights)))
    evaluated = program.elbo(images.fixed["test"], 2, 0)
    values |= {f"test/{key}": float(evaluated[key].mean()) for key in ("elbo", "rate", "distortion")}
    values["test/log_likelihood"] = float(program.log_likelihood(images.fixed["test"], 3, 0).mean())
    return values


def all_measured():
    """Every golden value, by configuration."""
    found = {name: measured(name) for name in CONFIGURATIONS}
    return found | {f"{name}, compiled": measured(name, compiled=True) for name in COMPILED}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    checkout = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(checkout)]
    FILE.write_text(json.dumps(all_measured(), indent=1) + "\n")
    print(f"{FILE}: git diff says what has moved")
