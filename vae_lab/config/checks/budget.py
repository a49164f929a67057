"""What a model and a step of its training hold at least, counted from the configuration: nothing is built for it."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from vae_lab.config.checks.facts import Config, data_fact, fact
from vae_lab.data.memory import require
from vae_lab.layers.conv_sizes import layer_sizes

BYTES = 4  # of a float32
COPIES = 4  # of a weight: itself, its gradient and Adam's two slots


class Held(NamedTuple):
    """Numbers, at least: what is counted leaves out biases, gates, and whatever a part does beside its layers."""

    weights: int
    outputs: int  # of all layers, for one image or one draw


def check_memory(cfg: Config) -> None:
    """Raises UsageError where weights, or what a step keeps for its gradient, are more than there is memory for."""
    encoder, decoder = encoder_of(cfg), decoder_of(cfg)
    weights = encoder.weights + decoder.weights
    parts = f"encoder={cfg.encoder.name}, decoder={cfg.decoder.name}"
    require(
        BYTES * COPIES * weights,
        f"latent_size={cfg.latent_size} with {parts}: a model of {weights:,} weights at least",
        "use fewer latents, units or filters",
    )
    batch, samples = cfg.training.batch_size, cfg.estimator.get("samples", 1) * cfg.estimator.get("groups", 1)
    step = batch * (encoder.outputs + samples * (cfg.latent_size + decoder.outputs))
    require(
        BYTES * step,
        f"estimator.samples={cfg.estimator.get('samples', 1)} with training.batch_size={batch}, "
        f"latent_size={cfg.latent_size}, {parts}: a step of {step:,} numbers at least",
        "use fewer samples, smaller batches or fewer filters",
    )


def encoder_of(cfg: Config) -> Held:
    """From the pixels to the latent."""
    option, shape = cfg.encoder, data_fact(cfg, "image_shape")
    if "kernels" in option:
        spatial = fact(option, "spatial_latent")
        filters = [*option.filters, *([cfg.latent_size] if spatial else [])]
        sizes = layer_sizes(shape[:2], option.kernels, option.strides, option.paddings, ["conv"] * len(filters))
        stack = convolutions([shape[2], *filters], option.kernels, sizes[1:])
        flat = area(sizes[-1]) * filters[-1]
        return stack if spatial else both(stack, inward([flat, *hidden(option)], cfg))
    if "blocks" in option:
        sizes = halved(shape[:2], len(option.filters))
        down = convolutions([shape[2], *option.filters], [3] * len(option.filters), sizes[1:])
        flat = area(sizes[-1]) * option.filters[-1]
        return both(down, residual(option, sizes[1:]), inward([flat], cfg))
    return inward([math.prod(shape), *hidden(option)], cfg)


def decoder_of(cfg: Config) -> Held:
    """From the latent to the pixels."""
    option, shape = cfg.decoder, data_fact(cfg, "image_shape")
    if "kernels" in option:
        base = option.get("base")
        if base is None:  # the latent is a grid itself
            start = layer_sizes(
                shape[:2],
                cfg.encoder.kernels,
                cfg.encoder.strides,
                cfg.encoder.paddings,
                ["conv"] * len(cfg.encoder.kernels),
            )[-1]
            base = [*start, cfg.latent_size]
        sizes = layer_sizes(base[:2], option.kernels, option.strides, option.paddings, option.kinds)
        stack = convolutions([base[2], *option.filters, shape[2]], option.kernels, sizes[1:])
        return both(stack, outward([math.prod(base)], cfg)) if "base" in option else stack
    if "blocks" in option:
        sizes = halved(shape[:2], len(option.filters))[::-1]
        up = convolutions(
            [*option.filters, option.filters[-1], shape[2]], [3] * (1 + len(sizes[1:])), [*sizes[1:], shape]
        )
        flat = area(sizes[0]) * option.filters[0]
        return both(up, residual(option, sizes[:-1]), outward([flat], cfg))
    return outward([*hidden(option), math.prod(shape)], cfg)


def hidden(option: Config) -> list[int]:
    """Units of the dense layers, in their order."""
    return list(option.get("hidden") or [])


def inward(units: Sequence[int], cfg: Config) -> Held:
    """Dense layers from so many numbers, by way of others, to the latent."""
    return Held(sum(a * b for a, b in pairwise([*units, cfg.latent_size])), sum(units[1:]))


def outward(units: Sequence[int], cfg: Config) -> Held:
    """Dense layers from the latent to so many units, one after another."""
    return Held(sum(a * b for a, b in pairwise([cfg.latent_size, *units])), sum(units))


def convolutions(channels: Sequence[int], kernels: Iterable[int], sizes: Iterable[Any]) -> Held:
    """A stack of convolutions: channels before and after each, edges of kernels, heights and widths after each."""
    weights = sum(kernel**2 * a * b for kernel, (a, b) in zip(kernels, pairwise(channels), strict=True))
    return Held(weights, sum(area(size) * count for size, count in zip(sizes, channels[1:], strict=True)))


def residual(option: Config, sizes: Iterable[Any]) -> Held:
    """The residual blocks of all stages, two convolutions each."""
    stages = list(zip(option.filters, option.blocks, sizes, strict=True))
    weights = sum(2 * 9 * count**2 * depth for count, depth, _ in stages)
    return Held(weights, sum(2 * area(size) * count * depth for count, depth, size in stages))


def halved(size: Sequence[int], stages: int) -> list[tuple[int, int]]:
    """Height and width before and after stages that halve them, rounded up."""
    sizes = [(size[0], size[1])]
    for _ in range(stages):
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def area(size: Sequence[int]) -> int:
    """Places of a height and width."""
    return int(size[0]) * int(size[1])


def both(*parts: Held) -> Held:
    """What parts hold together."""
    return Held(sum(part.weights for part in parts), sum(part.outputs for part in parts))
