"""Everything about a configuration that can be known before any work: no TensorFlow, no data, no tracker.

What is legal follows from the `facts` that the options' YAML files state; tests measure that the facts are true.
"""

import importlib
import math
from collections.abc import Callable
from typing import Any

from vae_lab.errors import UsageError
from vae_lab.layers.conv_sizes import layer_sizes

# A resolved configuration: attributes by axis, as in conf/train.yaml.
Config = Any


def fact(option: Config, name: str, default: Any = None) -> Any:
    """What an option's YAML states of it."""
    return (option.get("facts") or {}).get(name, default)


def pixel_kind(cfg: Config) -> str:
    """What the model sees: "binary" pixels, grey "levels", or "continuous" ones."""
    kind = fact(cfg.binarization, "pixels")
    return "binary" if kind == "levels" and fact(cfg.data, "levels") == 2 else kind


def bits_offset(cfg: Config) -> float | None:
    """What makes -log2 p(x) / D comparable between likelihoods, in bits; None where nothing does.

    Probabilities of the pixels' own levels need nothing; densities of dequantized pixels the log2 of a level's width.
    """
    if fact(cfg.likelihood, "discrete"):
        return None if cfg.likelihood.get("allow_grey") and pixel_kind(cfg) != "binary" else 0.0
    return math.log2(fact(cfg.data, "levels")) if pixel_kind(cfg) == "continuous" else None


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


def check_kl(cfg: Config) -> None:
    closed_form = fact(cfg.posterior, "closed_form_kl_with", [])
    if fact(cfg.estimator, "needs_closed_form_kl") and cfg.prior.name not in closed_form:
        raise UsageError(
            f"estimator={cfg.estimator.name} needs KL(posterior, prior) in closed form, which "
            f"posterior={cfg.posterior.name} does not have with prior={cfg.prior.name}.\n"
            f"Use estimator=monte_carlo, or prior={' or prior='.join(closed_form) or '(none has one)'}."
        )


def check_objective(cfg: Config) -> None:
    plain = {"beta": 1, "warmup_epochs": 0, "cycle_epochs": None, "free_bits": 0}
    for key, value in plain.items():
        if not fact(cfg.estimator, "weighs_rate") and cfg.estimator[key] != value:
            raise UsageError(
                f"estimator.{key}={cfg.estimator[key]} weighs the rate, and the bound of "
                f"estimator={cfg.estimator.name} has none of its own; use estimator=analytic_kl or monte_carlo"
            )
    if cfg.estimator.cycle_epochs is not None and not 0 < cfg.estimator.warmup_epochs <= cfg.estimator.cycle_epochs:
        raise UsageError(
            f"estimator.cycle_epochs={cfg.estimator.cycle_epochs} repeats a warm-up of "
            f"estimator.warmup_epochs={cfg.estimator.warmup_epochs}; set that above 0 and at most to the cycle"
        )


def check_densities(cfg: Config) -> None:
    if not fact(cfg.posterior, "fast_log_prob"):
        for axis in ("estimator", "prior"):
            if fact(cfg[axis], "needs_fast_log_prob"):
                raise UsageError(
                    f"{axis}={cfg[axis].name} needs the posterior's density at latents it did not draw, which "
                    f"posterior={cfg.posterior.name} gives one latent at a time; use posterior=mvn_diag or mvn_tril"
                )
    if fact(cfg.estimator, "needs_prior_of_its_own") and fact(cfg.prior, "depends_on_encoder"):
        raise UsageError(
            f"estimator={cfg.estimator.name} takes encoder and prior apart, and prior={cfg.prior.name} is made by the "
            "encoder; use estimator=importance_weighted, or another prior"
        )


def check_latent(cfg: Config) -> None:
    if cfg.prior.name == "flow" and cfg.latent_size < 2:
        raise UsageError("prior=flow couples halves of the latent, and latent_size=1 has none; use latent_size=2 or more")
    if not fact(cfg.encoder, "spatial_latent"):
        return
    flat = {f"{axis}={cfg[axis].name}": fact(cfg[axis], "flat_latent") for axis in ("posterior", "prior", "decoder")}
    flat["prior.covariance=full"] = cfg.prior.get("covariance") == "full"
    for option, needs_flat in flat.items():
        if needs_flat:
            raise UsageError(
                f"encoder={cfg.encoder.name} keeps the latent's grid, and {option} needs a flat latent; "
                "use another option there, or encoder=conv"
            )


def check_pixels(cfg: Config) -> None:
    if fact(cfg.data, "levels") == 2 and cfg.binarization.name != "none":
        raise UsageError(
            f"binarization={cfg.binarization.name} has nothing to do on data={cfg.data.name}, which is binary already; "
            "use binarization=none"
        )
    grey_allowed = cfg.likelihood.get("allow_grey", False)
    if fact(cfg.likelihood, "needs_binary_data") and pixel_kind(cfg) != "binary" and not grey_allowed:
        raise UsageError(
            f"likelihood={cfg.likelihood.name} needs binary pixels, and data={cfg.data.name} with "
            f"binarization={cfg.binarization.name} has grey ones.\n"
            "Use binarization=dynamic, static or threshold; or likelihood.allow_grey=true to score grey pixels by the "
            "cross-entropy."
        )
    if "levels" in fact(cfg.likelihood, "takes", []) and pixel_kind(cfg) == "continuous":
        raise UsageError(
            f"likelihood={cfg.likelihood.name} scores grey levels, and binarization={cfg.binarization.name} leaves none; "
            "use binarization=none"
        )


def check_rows(cfg: Config) -> None:
    held_out = cfg.data.validation_size
    if (own := fact(cfg.data, "validation_rows")) is not None:
        training_rows = fact(cfg.data, "training_rows")
        if held_out not in (0, own):
            raise UsageError(
                f"data.validation_size={held_out}: data={cfg.data.name} has a validation file of its own; "
                f"use {own}, or 0 to leave it out"
            )
    elif (rows := fact(cfg.data, "training_rows")) is not None:
        training_rows = rows - held_out
        if training_rows < 1:
            raise UsageError(
                f"data.validation_size={held_out} leaves no training rows: data={cfg.data.name} has {rows}"
            )
    else:
        return
    if cfg.training.batch_size > training_rows:
        raise UsageError(
            f"training.batch_size={cfg.training.batch_size} is more than the {training_rows} training rows of "
            f"data={cfg.data.name}"
        )


def check_validation(cfg: Config) -> None:
    if cfg.data.validation_size:
        return
    if cfg.training.select == "best":
        raise UsageError("training.select=best compares by val/elbo, and data.validation_size=0 leaves none; use last")
    if cfg.training.early_stopping.patience is not None:
        raise UsageError(
            "training.early_stopping.patience watches val/elbo, and data.validation_size=0 leaves none; set it to null"
        )


def check_sizes(cfg: Config) -> None:
    image_shape, grid = fact(cfg.data, "image_shape"), None
    if fact(cfg.decoder, "spatial_latent") and not fact(cfg.encoder, "spatial_latent"):
        raise UsageError(
            f"decoder={cfg.decoder.name} takes latents on a grid, and encoder={cfg.encoder.name} keeps none; "
            "use encoder=conv_spatial"
        )
    if "blocks" in cfg.encoder:
        check_stages(cfg.encoder, "encoder")
    if "blocks" in cfg.decoder:
        check_stages(cfg.decoder, "decoder")
    if image_shape is None:
        return
    if "kernels" in cfg.encoder:
        layers = len(cfg.encoder.filters)
        with_layers(cfg.encoder, "encoder", layers)
        grid = _sizes("encoder", cfg.encoder, image_shape[:2], ["conv"] * layers)[-1]
    if "kernels" in cfg.decoder:
        with_layers(cfg.decoder, "decoder", len(cfg.decoder.filters) + 1)
        start = cfg.decoder.get("base", grid)
        height, width = _sizes("decoder", cfg.decoder, start, cfg.decoder.kinds)[-1]
        if [height, width] != list(image_shape[:2]):
            source = f"decoder.base={list(start)}" if "base" in cfg.decoder else f"the encoder's {start[0]}x{start[1]}"
            raise UsageError(
                f"decoder={cfg.decoder.name} makes {height}x{width} images from {source}, and data={cfg.data.name} has "
                f"{image_shape[0]}x{image_shape[1]}; change {'decoder.base, ' if 'base' in cfg.decoder else ''}"
                "strides, kernels or paddings"
            )


def check_stages(option: Config, axis: str) -> None:
    """A residual network has as many entries of `blocks` as of `filters`."""
    entries = [*option.blocks, *option.filters]
    if len(option.blocks) != len(option.filters) or not all(isinstance(n, int) and n >= 1 for n in entries):
        raise UsageError(
            f"{axis}.blocks={list(option.blocks)} and {axis}.filters={list(option.filters)} must be whole numbers of "
            "at least 1, one of each a stage"
        )


def with_layers(option: Config, axis: str, layers: int) -> None:
    """Every list of a convolutional option has one entry a layer."""
    for key in ("kernels", "strides", "paddings", "kinds"):
        if key not in option:
            continue
        if len(option[key]) != layers:
            raise UsageError(
                f"{axis}.{key}={list(option[key])} has {len(option[key])} entries for {layers} layers "
                f"({axis}.filters={list(option.filters)})"
            )
        words = {"paddings": ("same", "valid"), "kinds": ("conv", "transposed")}.get(key)
        for entry in option[key]:
            if entry not in (words or range(1, 1000)):
                raise UsageError(
                    f"{axis}.{key}={list(option[key])} must be {' or '.join(words or ['whole numbers of at least 1'])}"
                )


def check_evaluation(cfg: Config) -> None:
    size = cfg.evaluation.batch_size
    if not isinstance(size, int) or size < 100 or size % 100:
        raise UsageError(f"evaluation.batch_size={size} must be a multiple of 100, the block that noise is drawn in")


def check_files(cfg: Config) -> None:
    """Data that is not at hand is loaded now, which downloads it or says what to put where."""
    module, _, function = cfg.data._target_.rpartition(".")
    source = importlib.import_module(module)
    if not source.available(cfg.data.dir):
        getattr(source, function)(dir=cfg.data.dir, validation_size=cfg.data.validation_size)


CHECKS: tuple[Callable[[Config], None], ...] = (
    check_counts,
    check_numbers,
    check_choices,
    check_pixels,
    check_kl,
    check_objective,
    check_densities,
    check_latent,
    check_rows,
    check_validation,
    check_sizes,
    check_evaluation,
    check_files,
)


def check(cfg: Config) -> None:
    """Raises UsageError for the first thing that cannot work."""
    for one in CHECKS:
        one(cfg)


def _sizes(axis: str, option: Config, start: Any, kinds: Any) -> list[tuple[int, int]]:
    try:
        return layer_sizes(start, option.kernels, option.strides, option.paddings, kinds)
    except UsageError as error:
        raise UsageError(f"{axis}={option.name}: {error}") from None


def _select(cfg: Config, key: str) -> Any:
    group, _, leaf = key.partition(".")
    return cfg[group].get(leaf) if leaf else cfg[group]
