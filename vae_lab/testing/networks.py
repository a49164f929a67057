"""What is asked of an encoder, and of a decoder."""

from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.testing.trial import Trial, modes, normal_draws
from vae_lab.testing.weights import check_saved, check_weights

IMAGE_SHAPE = (28, 28, 1)
ROWS, OUTPUTS, LATENTS = 6, 4, 3


def encoder(trial: Trial) -> Any:
    """The encoder on trial."""
    part = trial.make(output_size=OUTPUTS)
    part.build((None, *IMAGE_SHAPE))
    return part


def decoder(trial: Trial, output_shape: tuple[int, ...] = IMAGE_SHAPE, bias: Any = None, **settings: Any) -> Any:
    """The decoder on trial; one of latents on a grid takes a quarter of the image's size."""
    grid = (IMAGE_SHAPE[0] // 4, IMAGE_SHAPE[1] // 4) if trial.fact("spatial_latent") else ()
    latent_shape = (*grid, LATENTS)
    part = trial.make(settings, latent_shape=latent_shape, output_shape=output_shape, output_bias=bias)
    part.build((None, *latent_shape))
    return part


def network(trial: Trial) -> Any:
    """The network on trial."""
    return encoder(trial) if trial.axis == "encoder" else decoder(trial)


def inputs(part: Any, rows: int = ROWS) -> Any:
    """Fixed inputs of a network."""
    return normal_draws((rows, *part.input_shape[1:]))


def kernels(part: Any) -> list[Any]:
    """The weights that are kernels."""
    return [weight for weight in part.trainable_variables if "kernel" in weight.path]


def encoder_shapes(trial: Trial) -> None:
    """It gives `output_size` features, of the image or of each place of a grid."""
    part = encoder(trial)
    found = tuple(part(tf.zeros((2, *IMAGE_SHAPE))).shape)
    trial.require(found[0] == 2 and found[-1] == OUTPUTS, f"of output_size={OUTPUTS} it gives features {found}")
    trial.require(part.output_shape == (None, *found[1:]), f"output_shape is {part.output_shape}, and it gives {found}")
    on_grid = len(found) == 4
    trial.require(
        on_grid == bool(trial.fact("spatial_latent")) and len(found) in (2, 4),
        f"{trial.states('spatial_latent')}, and its features are {found}",
    )


def decoder_shapes(trial: Trial) -> None:
    """It gives parameters of the shape that it is made with, of any number of channels."""
    for shape in (IMAGE_SHAPE, (*IMAGE_SHAPE[:2], 6)):
        part = decoder(trial, shape)
        found = tuple(part(inputs(part, 2)).shape)
        trial.require(found == (2, *shape), f"of output_shape {shape} it gives {found}")
        trial.require(part.output_shape == (None, *shape), f"output_shape is {part.output_shape}, and it gives {found}")


def output_bias(trial: Trial) -> None:
    """It starts from output_bias, and from 0 without one, where its last kernel starts at 0."""
    if "output_initializer" not in trial.option:
        return
    for shape in (IMAGE_SHAPE, (*IMAGE_SHAPE[:2], 6)):
        per_pixel = decoder(trial, shape).bias_per_pixel
        bias = np.random.default_rng(0).normal(size=shape if per_pixel else (1, 1, shape[-1]))
        part = decoder(trial, shape, bias, output_initializer="zeros")
        expected = np.broadcast_to(bias, (ROWS, *shape))
        trial.agree(part(inputs(part)), expected, "it does not start from output_bias", 1e-6, 1e-6)
        plain = decoder(trial, shape, output_initializer="zeros")
        trial.require(np.all(plain(inputs(plain)) == 0), "without output_bias it does not start from 0")


def weights(trial: Trial) -> None:
    """Every weight is trained, has a name of its own, the same in each network, and gets a gradient."""
    part = network(trial)
    trial.require(part.weights, "it has no weights; make its layers before or in build")
    x = inputs(part)
    check_weights(trial, part, lambda part: part(x) ** 2)
    paths = [[weight.path for weight in one.weights] for one in (part, network(trial))]
    trial.require(paths[0] == paths[1], "its weights are called otherwise in a second network; give its layers names")
    values = [kernel.numpy().tobytes() for kernel in kernels(part)]
    trial.require(len(set(values)) == len(values), "two kernels start equal; give each an initializer of its own")


def modes_agree(trial: Trial) -> None:
    """Eagerly, as a graph and under XLA it gives the same outputs and gradients."""
    part = network(trial)
    x = inputs(part)

    def numbers(x: Any) -> Any:
        with tf.GradientTape() as tape:
            output = part(x)
            loss = tf.reduce_mean(output**2)
        return output, tape.gradient(loss, part.trainable_variables)

    output, gradients = numbers(x)
    for how, function in modes(numbers).items():
        found, found_gradients = function(x)
        trial.agree(found, output, f"its output {how} is another one", 1e-4, 1e-5)
        for weight, one, expected in zip(part.trainable_variables, found_gradients, gradients, strict=True):
            trial.agree(one, expected, f"the gradient of {weight.name!r} {how} is another one", 1e-3, 1e-5)


def no_batch(trial: Trial) -> None:
    """What it says of an image does not depend on the others of its batch."""
    part = network(trial)
    x = inputs(part)
    alone = tf.concat([part(x[i : i + 1]) for i in range(ROWS)], axis=0)
    trial.agree(part(x), alone, "its output depends on the others of the batch", 1e-4, 1e-5)


def facts(trial: Trial) -> None:
    """It has convolutions if its YAML says so, and else not."""
    convolutional = any(len(kernel.shape) == 4 for kernel in kernels(network(trial)))
    trial.require(
        convolutional == bool(trial.fact("convolutional")),
        f"{trial.states('convolutional')}, and it has {'' if convolutional else 'no '}kernels of convolutions",
    )


def saved(trial: Trial) -> None:
    """Its weights can be saved and loaded."""
    part = network(trial)
    x = inputs(part)
    check_saved(trial, part, network(trial), lambda part: part(x))


BOTH = (weights, facts, no_batch, modes_agree, saved)
ENCODER = (encoder_shapes, *BOTH)
DECODER = (decoder_shapes, *BOTH, output_bias)
