"""Single settings: counts, numbers in range, words that are known."""

import math
from typing import Any

from vae_lab.checks.facts import Config
from vae_lab.errors import UsageError


def check_counts(cfg: Config) -> None:
    at_least: dict[str, int] = {
        "latent_size": 1,
        "estimator.samples": 1,
        "estimator.groups": 1,
        "prior.components": 1,
        "prior.couplings": 1,
        "posterior.steps": 1,
        "posterior.context": 1,
        "training.epochs": 0,
        "training.batch_size": 1,
        "evaluation.samples": 1,
        "evaluation.importance_samples": 1,
        "evaluation.images_every": 0,
        "data.validation_size": 0,
        "seed": 0,
    }
    for key, least in at_least.items():
        value = _select(cfg, key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise UsageError(f"{key}={value} must be a whole number of at least {least}")
    if cfg.seed >= 2**31:
        raise UsageError(f"seed={cfg.seed} must be below 2^31")
    for part in ("encoder", "decoder", "posterior", "prior"):
        for units in cfg[part].get("hidden", []):
            if not isinstance(units, int) or units < 1:
                raise UsageError(
                    f"{part}.hidden={list(cfg[part].hidden)} must be a list of whole numbers of at least 1"
                )


def check_numbers(cfg: Config) -> None:
    above_zero = (
        "optimizer.learning_rate",
        "optimizer.clipnorm",
        "optimizer.global_clipnorm",
        "posterior.scale_floor",
        "prior.scale_floor",
        "prior.loc_spread",
        "likelihood.initial_scale",
        "likelihood.scale_floor",
        "estimator.cycle_epochs",
    )
    for key in above_zero:
        value = _select(cfg, key)
        if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
            raise UsageError(f"{key}={value} must be a number above 0")
    for key in ("estimator.beta", "estimator.warmup_epochs", "estimator.free_bits"):
        value = _select(cfg, key)
        if not (isinstance(value, int | float) and 0 <= value < math.inf):
            raise UsageError(f"{key}={value} must be a number of at least 0")
    if cfg.likelihood.get("scale") in ("shared", "per_pixel"):
        if cfg.likelihood.initial_scale <= cfg.likelihood.scale_floor:
            raise UsageError(
                f"likelihood.initial_scale={cfg.likelihood.initial_scale} must be above "
                f"likelihood.scale_floor={cfg.likelihood.scale_floor}, where a learned scale cannot go"
            )
    if cfg.optimizer.get("clipnorm") and cfg.optimizer.get("global_clipnorm"):
        raise UsageError("optimizer.clipnorm and optimizer.global_clipnorm exclude each other; set one of them to null")


def check_choices(cfg: Config) -> None:
    choices: dict[str, tuple] = {
        "training.loss_reduction": ("mean", "sum"),
        "training.select": ("last", "best"),
        "training.jit": ("auto", True, False),
        "training.normalize_gradients": (True, False),
        "posterior.scale_activation": ("softplus", "exp"),
        "prior.covariance": ("diag", "full"),
        "prior.initialize": ("random", "training_images"),
        "likelihood.scale": ("fixed", "shared", "per_pixel"),
        "likelihood.loc_activation": ("linear", "sigmoid"),
        "likelihood.output_bias": (None, "train_mean"),
        "likelihood.allow_grey": (True, False),
    }
    for key, legal in choices.items():
        group, leaf = key.split(".")
        if leaf in cfg[group] and cfg[group][leaf] not in legal:
            names = ", ".join("null" if choice is None else str(choice).lower() for choice in legal)
            raise UsageError(f"{key}={cfg[group][leaf]} is not one of: {names}")


def _select(cfg: Config, key: str) -> Any:
    group, _, leaf = key.partition(".")
    return cfg[group].get(leaf) if leaf else cfg[group]
