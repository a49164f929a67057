"""Sizes that must fit: rows, batches, layers, images."""

from typing import Any

from vae_lab.config.checks.facts import Config, data_fact, fact
from vae_lab.errors import UsageError
from vae_lab.layers.conv_sizes import layer_sizes
from vae_lab.warmup import warms_up


def check_rows(cfg: Config) -> None:
    held_out = cfg.data.get("validation_size")
    training_rows, own = data_fact(cfg, "training_rows"), data_fact(cfg, "validation_rows")
    if own is None:
        if training_rows <= held_out:
            raise UsageError(
                f"data.validation_size={held_out} leaves no training rows: data={cfg.data.name} has {training_rows}"
            )
        training_rows -= held_out
    elif held_out not in (None, 0, own):
        raise UsageError(
            f"data.validation_size={held_out}: data={cfg.data.name} has a validation file of its own; "
            f"use {own}, or 0 to leave it out"
        )
    taken = cfg.data.get("train_rows")
    if taken is not None and taken > training_rows:
        raise UsageError(
            f"data.train_rows={taken} is more than the {training_rows} training rows of data={cfg.data.name}; use as "
            "many or fewer, or null for all"
        )
    if taken is not None and cfg.training.batch_size > taken:
        raise UsageError(
            f"data.train_rows={taken} is less than one batch of training.batch_size={cfg.training.batch_size}; take "
            "more rows, or smaller batches"
        )
    if cfg.training.batch_size > training_rows:
        raise UsageError(
            f"training.batch_size={cfg.training.batch_size} is more than the {training_rows} training rows of "
            f"data={cfg.data.name}; use {training_rows} or fewer"
        )


def check_validation(cfg: Config) -> None:
    setting = "validation_size" if "validation_size" in cfg.data else "validation_fraction"
    if cfg.data.validation_size if setting == "validation_size" else data_fact(cfg, "validation_rows"):
        return
    none = f"data.{setting}={cfg.data[setting]} leaves none"
    if cfg.training.select == "best":
        raise UsageError(f"training.select=best compares by val/elbo, and {none}; use last")
    if cfg.training.early_stopping.patience is not None:
        raise UsageError(f"training.early_stopping.patience watches val/elbo, and {none}; set it to null")
    if cfg.sweep.get("storage") is not None:
        raise UsageError(f"hydra/sweeper=optuna compares by val/elbo, and {none}; hold some rows out")


def check_warmup(cfg: Config) -> None:
    """The best epoch is none of the warm-up, whose weights are those of another objective: there must be others."""
    warmup, cycle = cfg.estimator.get("warmup_epochs") or 0, cfg.estimator.get("cycle_epochs")
    epochs, start = cfg.training.epochs, cfg.training.early_stopping.start_from_epoch
    if cfg.training.select != "best" or not warmup or not epochs:
        return
    if all(warms_up(epoch, warmup, cycle) for epoch in range(1, epochs + 1)):
        raise UsageError(
            f"training.select=best takes no epoch of the warm-up, and estimator.warmup_epochs={warmup} leaves none of "
            f"training.epochs={epochs}; train longer, or use last"
        )
    if cfg.training.early_stopping.patience is not None and start is not None and start < warmup:
        raise UsageError(
            f"training.early_stopping.start_from_epoch={start} can stop within estimator.warmup_epochs={warmup}, of "
            "which training.select=best takes no epoch; use null for the end of the warm-up, or select=last"
        )


def check_groups(cfg: Config) -> None:
    """Groups of categories fill the latent, the posterior's as well as the prior's."""
    categories, of_prior = cfg.posterior.get("categories"), cfg.prior.get("categories")
    if categories is None:
        return
    if cfg.latent_size % categories:
        raise UsageError(
            f"latent_size={cfg.latent_size} is no whole number of groups of posterior.categories={categories}; "
            f"use a multiple, such as latent_size={-(-cfg.latent_size // categories) * categories}"
        )
    if of_prior not in (None, categories):
        raise UsageError(
            f"prior.categories={of_prior} and posterior.categories={categories} cut z into different groups; "
            "leave prior.categories away, which follows the posterior's"
        )


def check_upper(cfg: Config) -> None:
    """The layers of latents above the first are the posterior's and the prior's alike."""
    upper, of_prior = cfg.posterior.get("upper"), cfg.prior.get("upper")
    if upper is not None and not upper:
        raise UsageError("posterior.upper=[] leaves one layer of latents; name the others' sizes, or use mvn_diag")
    if upper is not None and of_prior is not None and list(upper) != list(of_prior):
        raise UsageError(
            f"prior.upper={list(of_prior)} and posterior.upper={list(upper)} cut z into different layers; "
            "leave prior.upper away, which follows the posterior's"
        )


def check_sizes(cfg: Config) -> None:
    image_shape, grid = data_fact(cfg, "image_shape"), None
    if fact(cfg.decoder, "spatial_latent") and not fact(cfg.encoder, "spatial_latent"):
        raise UsageError(
            f"decoder={cfg.decoder.name} takes latents on a grid, and encoder={cfg.encoder.name} keeps none; "
            "use encoder=conv_spatial"
        )
    if "blocks" in cfg.encoder:
        check_stages(cfg.encoder, "encoder")
    if "blocks" in cfg.decoder:
        check_stages(cfg.decoder, "decoder")
    if "kernels" in cfg.encoder:
        layers = len(cfg.encoder.filters) + bool(fact(cfg.encoder, "spatial_latent"))
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


def _sizes(axis: str, option: Config, start: Any, kinds: Any) -> list[tuple[int, int]]:
    try:
        return layer_sizes(start, option.kernels, option.strides, option.paddings, kinds)
    except UsageError as error:
        raise UsageError(f"{axis}={option.name}: {error}") from None
