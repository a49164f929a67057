"""Single settings: counts, numbers in range, words that are known."""

import math
import operator
from collections.abc import Mapping, Sequence

from vae_lab.config.checks.facts import Config
from vae_lab.config.checks.reading import as_number, is_count, is_list, is_number, shown, values_of
from vae_lab.errors import UsageError
from vae_lab.evaluation.pictures import PICTURES

SPLITS = ("train", "val", "test")
MAY_BE_NULL = {
    "training.early_stopping.patience",
    "training.early_stopping.start_from_epoch",
    "optimizer.clipnorm",
    "optimizer.global_clipnorm",
    "estimator.cycle_epochs",
    "data.split_seed",
    "data.train_rows",
    "posterior.columns",
}
# Keras's names; anything else of Keras can be given as {class_name: ..., config: {...}}.
ACTIVATIONS = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
)
INITIALIZERS = (
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
    "zeros",
)

OF_GAPS = ("annealing_steps", "chains", "leapfrog_steps", "optimization_steps", "samples")


def check_counts(cfg: Config) -> None:
    at_least: dict[str, int] = {
        "latent_size": 1,
        "estimator.samples": 1,
        "estimator.groups": 1,
        "estimator.intervals": 1,
        "prior.components": 1,
        "prior.couplings": 1,
        "posterior.steps": 1,
        "posterior.context": 1,
        "posterior.couplings": 1,
        "posterior.reflections": 1,
        "posterior.columns": 1,
        "posterior.bins": 2,
        "prior.bins": 2,
        "posterior.categories": 2,
        "prior.categories": 2,
        "training.epochs": 0,
        "training.batch_size": 1,
        "evaluation.samples": 1,
        "evaluation.importance_samples": 1,
        "evaluation.images_every": 0,
        "evaluation.latent_images": 0,
        "evaluation.gradient_draws": 0,
        "evaluation.seed": 0,
        "evaluation.gaps.images": 0,
        "evaluation.gaps.simulated": 0,
        **{f"evaluation.gaps.{key}": 1 for key in OF_GAPS},
        "data.validation_size": 0,
        "data.split_seed": 0,
        "data.train_rows": 1,
        "training.early_stopping.patience": 0,
        "training.early_stopping.start_from_epoch": 0,
        "seed": 0,
    }
    for key, least in at_least.items():
        for value in values_of(cfg, key):
            if value is None and key in MAY_BE_NULL:
                continue
            if not is_count(value, least):
                raise UsageError(f"{key}={shown(value)} must be a whole number of at least {least}")
    for key in ("seed", "data.split_seed", "evaluation.seed"):
        for value in values_of(cfg, key):
            if value is not None and value >= 2**31:
                raise UsageError(f"{key}={value} must be below 2^31")
    lists = [f"{part}.hidden" for part in ("encoder", "decoder", "posterior", "prior")]
    for key in (*lists, "posterior.upper", "prior.upper"):
        for counts in values_of(cfg, key):
            if not is_list(counts) or not all(is_count(one) for one in counts):
                raise UsageError(
                    f"{key}={shown(counts)} must be a list of whole numbers of at least 1, such as [200,200]"
                )


def check_numbers(cfg: Config) -> None:
    above_zero = (
        "optimizer.learning_rate",
        "optimizer.clipnorm",
        "optimizer.global_clipnorm",
        "posterior.scale_floor",
        "prior.scale_floor",
        "prior.loc_spread",
        "posterior.bound",
        "prior.bound",
        "likelihood.initial_scale",
        "likelihood.scale_floor",
        "estimator.cycle_epochs",
        "estimator.temperature",
        "estimator.initial_temperature",
    )
    for key in above_zero:
        for value in values_of(cfg, key):
            if value is None and key in MAY_BE_NULL:
                continue
            if not (is_number(value) and 0 < value < math.inf):
                raise UsageError(f"{key}={shown(value)} must be a number above 0")
    at_least_zero = (
        "estimator.beta",
        "estimator.warmup_epochs",
        "estimator.free_bits",
        "estimator.annealing_epochs",
        "posterior.concentration_floor",
    )
    for key in (*at_least_zero, "training.early_stopping.min_delta", "training.checkpoint_seconds"):
        for value in values_of(cfg, key):
            if not (is_number(value) and 0 <= value < math.inf):
                raise UsageError(f"{key}={shown(value)} must be a number of at least 0")
    for value in values_of(cfg, "posterior.slope_floor"):
        if not (is_number(value) and 0 < value < 1):
            raise UsageError(f"posterior.slope_floor={shown(value)} must be a number above 0 and below 1")
    for columns in values_of(cfg, "posterior.columns"):
        if columns is not None and columns > cfg.latent_size:
            raise UsageError(
                f"posterior.columns={columns} is more than latent_size={cfg.latent_size}; use at most that, or null "
                "for as many"
            )
    for key in ("data.validation_fraction", "data.test_fraction"):
        for value in values_of(cfg, key):
            if not (is_number(value) and 0 <= value < 1):
                raise UsageError(f"{key}={shown(value)} must be a number from 0 to below 1")
    if cfg.likelihood.get("scale") in ("shared", "per_pixel"):
        if cfg.likelihood.initial_scale <= cfg.likelihood.scale_floor:
            raise UsageError(
                f"likelihood.initial_scale={cfg.likelihood.initial_scale} must be above "
                f"likelihood.scale_floor={cfg.likelihood.scale_floor}, where a learned scale cannot go"
            )
    if cfg.optimizer.get("clipnorm") and cfg.optimizer.get("global_clipnorm"):
        raise UsageError("optimizer.clipnorm and optimizer.global_clipnorm exclude each other; set one of them to null")
    if (factors := cfg.schedule.get("factors")) is not None:
        epochs = cfg.schedule.epochs
        listed = all(isinstance(entry, Sequence) and not isinstance(entry, str) for entry in (epochs, factors))
        if not (listed and all(map(is_number, [*epochs, *factors]))):
            raise UsageError("schedule.epochs and schedule.factors must be lists of numbers")
        if min(factors) < 0 or (len(epochs) > 0 and min(epochs) < 0):
            raise UsageError(
                f"schedule.epochs={shown(epochs)} and schedule.factors={shown(factors)} must be numbers of at least 0"
            )
        if len(factors) != len(epochs) + 1 or sorted(set(epochs)) != list(epochs):
            raise UsageError(
                f"schedule.epochs={shown(epochs)} must rise, and schedule.factors={shown(factors)} must have one more"
            )
    if (ends := cfg.posterior.get("raw_scale_range")) is not None:
        listed = isinstance(ends, Sequence) and not isinstance(ends, str) and len(ends) == 2
        if not (listed and all(map(is_number, ends)) and ends[0] < ends[1]):
            raise UsageError(f"posterior.raw_scale_range={shown(ends)} must be two rising numbers, such as [-6,2]")


def check_bounds(cfg: Config) -> None:
    """The settings that say which bound an estimator estimates."""
    for value in values_of(cfg, "estimator.alpha"):
        if not as_number(value) < math.inf:
            raise UsageError(
                f"estimator.alpha={shown(value)} must be a number, or -inf for the largest weight alone; 1 is the "
                "ELBO, 0 the importance-weighted bound"
            )
    for value in values_of(cfg, "estimator.elbo_weight"):
        if not 0 <= as_number(value) <= 1:
            raise UsageError(f"estimator.elbo_weight={shown(value)} must be a number from 0 to 1")
    for value in values_of(cfg, "estimator.smallest_beta"):
        if not 0 < as_number(value) < 1:
            raise UsageError(f"estimator.smallest_beta={shown(value)} must be a number above 0 and below 1")
    for points in values_of(cfg, "estimator.partition"):
        if points is None:
            continue
        listed = [as_number(point) for point in points] if is_list(points) else []
        if len(listed) < 2 or (listed[0], listed[-1]) != (0, 1) or not all(map(operator.lt, listed, listed[1:])):
            raise UsageError(
                f"estimator.partition={shown(points)} must be numbers that rise from 0 to 1, such as [0,0.1,0.5,1]; "
                "or null, for estimator.intervals of them"
            )


def check_choices(cfg: Config) -> None:
    choices: dict[str, tuple] = {
        "training.loss_reduction": ("mean", "sum"),
        "training.precision": ("float32", "mixed_bfloat16"),
        "training.select": ("last", "best"),
        "data.header": (None, True, False),
        "training.jit": ("auto", True, False),
        "training.normalize_gradients": (True, False),
        "posterior.scale_activation": ("softplus", "exp", "sqrt_exp"),
        "prior.covariance": ("diag", "full"),
        "prior.initialize": ("random", "training_images"),
        "prior.learned": (True, False),
        "estimator.straight_through": (True, False),
        "likelihood.scale": ("fixed", "shared", "per_pixel"),
        "likelihood.loc_activation": ("linear", "sigmoid"),
        "likelihood.output_bias": (None, "train_mean"),
        "likelihood.allow_grey": (True, False),
    }
    for key, legal in choices.items():
        for value in values_of(cfg, key):
            if not any(type(value) is type(choice) and value == choice for choice in legal):  # 1 is not true
                raise UsageError(f"{key}={shown(value)} is not one of: {', '.join(map(shown, legal))}")


def check_keras_names(cfg: Config) -> None:
    for part in ("encoder", "decoder", "posterior", "prior"):
        for key, names in (
            ("activation", ACTIVATIONS),
            ("initializer", INITIALIZERS),
            ("output_initializer", INITIALIZERS),
        ):
            for value in values_of(cfg, f"{part}.{key}"):
                if not isinstance(value, Mapping) and value not in names:
                    raise UsageError(
                        f"{part}.{key}={shown(value)} is not one of: {', '.join(names)}.\n"
                        "Others of Keras can be given as {class_name: NAME, config: {...}}."
                    )


def check_words(cfg: Config) -> None:
    if cfg.get("short") and not (cfg.study and cfg.study.get("short")):
        raise UsageError("short=true needs an experiment that has a short form, `study.short`; leave short away")
    splits = cfg.evaluation.splits
    if not is_list(splits) or not {"test"} <= set(splits) <= set(SPLITS) or len(set(splits)) < len(splits):
        raise UsageError(
            f"evaluation.splits={shown(splits)} must be a list of train, val and test, each once, with test in it"
        )
    scored = cfg.evaluation.log_likelihood_of
    if not is_list(scored) or not set(scored) <= set(splits):
        raise UsageError(f"evaluation.log_likelihood_of={shown(scored)} must be a list of {', '.join(splits)}")
    if cfg.evaluation.gradient_draws == 1:
        raise UsageError("evaluation.gradient_draws=1 has no variance; use 2 or more, or 0 for none")
    wanted = cfg.evaluation.pictures
    if not isinstance(wanted, bool) and wanted != "all" and not (is_list(wanted) and set(wanted) <= set(PICTURES)):
        raise UsageError(
            f"evaluation.pictures={shown(wanted)} must be true, false, all, or a list of: {', '.join(PICTURES)}"
        )
