"""What is trained: a model as a list of layers, the same for every peer."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from vae_lab.config import compose
from vae_lab.data.dataset import load
from vae_lab.layers.conv_sizes import layer_sizes


class Model(NamedTuple):
    """What is compared: overrides of the harness's configuration, and how much of it is a turn."""

    overrides: tuple[str, ...]
    images: int | None = None  # of an epoch; None for all
    epochs: int = 1  # of a turn


MODELS = {
    "MNIST mlp": Model(("data=mnist", "encoder.hidden=[300,300]", "decoder.hidden=[300,300]", "latent_size=50")),
    "MNIST conv": Model(
        ("data=mnist", "encoder=conv", "decoder=conv", "latent_size=2", "training.batch_size=32"), images=10_000
    ),
    "digits mlp": Model(("data=digits",), epochs=30),
}
QUICK = {"digits mlp": Model(("data=digits", "encoder.hidden=[32]", "decoder.hidden=[32]"), epochs=5)}

ADAM = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
SCALE_FLOOR = 1e-5  # of the posterior's softplus


class Means(NamedTuple):
    """Running means over an epoch, nats per image."""

    elbo: float
    rate: float
    distortion: float


@dataclass(frozen=True)
class Layer:
    """One layer with weights, in Keras's layouts.

    A dense layer flattens what it gets. A convolution after a dense layer first takes the shape `inputs`.
    """

    kind: str  # dense, conv or transposed
    inputs: tuple[int, ...]  # [F] or [H,W,C]
    outputs: tuple[int, ...]
    relu: bool
    kernel: int = 1
    stride: int = 1
    padding: str = "valid"

    def kernel_shape(self) -> tuple[int, ...]:
        """[in,out], [h,w,in,out] of a convolution, [h,w,out,in] of a transposed one."""
        channels = (self.inputs[-1], self.outputs[-1])
        if self.kind == "dense":
            return channels
        return (self.kernel, self.kernel, *(channels if self.kind == "conv" else channels[::-1]))

    def flops(self) -> int:
        """Of one image forward, a multiplication and an addition as two; biases and activations are left out."""
        places = {"dense": (1,), "conv": self.outputs[:-1], "transposed": self.inputs[:-1]}[self.kind]
        return 2 * math.prod(self.kernel_shape()) * math.prod(places)


@dataclass(frozen=True)
class Spec:
    """A model and how it is trained."""

    model: Model
    batch_size: int
    latent_size: int
    levels: int
    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]

    def convolutional(self) -> bool:
        """Whether any layer is a convolution."""
        return any(layer.kind != "dense" for layer in (*self.encoder, *self.decoder))

    def epoch_flops(self, images: int) -> int:
        """Forward, and twice that backward; but nobody asks for the gradient of the images."""
        forward = sum(layer.flops() for layer in (*self.encoder, *self.decoder))
        return images * (3 * forward - self.encoder[0].flops())


def specification(model: Model) -> Spec:
    """A model's layers, read from the harness's own configuration."""
    cfg = compose.compose_unchecked(*model.overrides)  # the layers are known without the data
    image = tuple(cfg.data.facts.image_shape)
    if cfg.encoder.name == "conv":
        encoder = _stack(image, cfg.encoder, ["conv"] * len(cfg.encoder.filters), cfg.encoder.filters, last_relu=True)
        first = _dense(cfg.latent_size, math.prod(cfg.decoder.base), relu=True)
        decoder = [first, *_stack(tuple(cfg.decoder.base), cfg.decoder, cfg.decoder.kinds, [*cfg.decoder.filters, 1])]
    else:
        encoder = _chain([math.prod(image), *cfg.encoder.hidden], last_relu=True)
        decoder = _chain([cfg.latent_size, *cfg.decoder.hidden, math.prod(image)])
    encoder.append(_dense(math.prod(encoder[-1].outputs), 2 * cfg.latent_size, relu=False))
    return Spec(
        model=model,
        batch_size=cfg.training.batch_size,
        latent_size=cfg.latent_size,
        levels=cfg.data.facts.levels,
        encoder=tuple(encoder),
        decoder=tuple(decoder),
    )


def _dense(inputs: int, outputs: int, relu: bool) -> Layer:
    return Layer("dense", (inputs,), (outputs,), relu)


def _chain(widths: list[int], last_relu: bool = False) -> list[Layer]:
    return [
        _dense(inputs, outputs, relu=last_relu or index < len(widths) - 2)
        for index, (inputs, outputs) in enumerate(pairwise(widths))
    ]


def _stack(shape: tuple[int, ...], option: Any, kinds: Any, filters: Any, last_relu: bool = False) -> list[Layer]:
    sizes = layer_sizes(shape[:2], option.kernels, option.strides, option.paddings, kinds)
    shapes = [(*size, channels) for size, channels in zip(sizes, [shape[-1], *filters], strict=True)]
    return [
        Layer(kind, before, after, last_relu or index < len(filters) - 1, kernel, stride, padding)
        for index, (kind, (before, after), kernel, stride, padding) in enumerate(
            zip(kinds, pairwise(shapes), option.kernels, option.strides, option.paddings, strict=True)
        )
    ]


def initial_weights(spec: Spec) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of each layer, encoder first: Glorot uniform and zero, as the harness begins too."""
    generator = np.random.default_rng(0)
    weights = []
    for layer in (*spec.encoder, *spec.decoder):
        shape = layer.kernel_shape()
        limit = math.sqrt(6 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
        kernel = generator.uniform(-limit, limit, shape).astype(np.float32)
        weights.append((kernel, np.zeros(layer.outputs[-1], np.float32)))
    return weights


def training_pixels(spec: Spec) -> np.ndarray:
    """The model's training images, uint8 [N,H,W,C], N cut to whole batches so that everyone sees the same rows."""
    pixels = load(compose.plain(compose.compose(*spec.model.overrides).data)).train.pixels[: spec.model.images]
    return pixels[: len(pixels) // spec.batch_size * spec.batch_size]
