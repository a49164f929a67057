"""From options to parts."""

import random
import zlib
from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate

from vae_lab.config.checks.targets import OPTIMIZERS, check_allowed
from vae_lab.config.settings import Settings
from vae_lab.errors import UsageError


def make(option: Mapping[str, Any], libraries: Mapping[str, str] = OPTIMIZERS, **arguments: Any) -> Any:
    """Instantiates an option's `_target_` with its own settings and these arguments.

    Args:
      option: the option.
      libraries: the modules beside our own and the project's whose classes it may name.
      **arguments: what its class is given beside the option's settings.

    Raises:
      UsageError: where it names what is no part.
    """
    check_allowed(option, libraries)
    settings = {key: value for key, value in option.items() if key not in ("name", "facts")}
    try:
        return instantiate(settings, **arguments, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UsageError):  # Hydra wraps what a constructor raises
            raise error.__cause__ from None
        raise


def extra_arguments(option: Mapping[str, Any], **offered: Any) -> dict[str, Any]:
    """Those of the offered constructor arguments that the option's fact `takes` asks for."""
    return {name: offered[name] for name in (option.get("facts") or {}).get("takes", [])}


def make_optimizer(settings: Settings, steps_per_epoch: int) -> tuple[Any, float | None]:
    """The optimizer, and its learning rate where that is a number and not a schedule."""
    option = settings.options["optimizer"]
    rate = make(
        settings.options["schedule"],
        learning_rate=float(option["learning_rate"]),
        steps_per_epoch=steps_per_epoch,
        total_epochs=settings.training.epochs,
    )
    return make(option, learning_rate=rate), rate if isinstance(rate, float) else None


def make_model(
    settings: Settings, image_shape: tuple[int, ...], levels: int | None, train_mean: Any = None, images: Any = None
) -> Any:
    """Builds the VAE with the initial weights of its seed.

    The weights of a part depend on the seed and that part alone, so that runs that differ in one axis start from the
    same weights in all others.

    Args:
      settings: the run's.
      image_shape: [H, W, C].
      levels: grey levels of the pixels that the likelihood scores.
      train_mean: mean training image [H,W,C] in [0, 1]; without it output biases start at zero.
      images: some training images [N,H,W,C] in [0, 1], for parts that start from them.
    """
    import keras

    from vae_lab.model import VAE

    options = settings.options

    def part(axis: str, input_shape: tuple[int, ...] | None = None, **arguments: Any) -> Any:
        # Keras's initializers take their seeds from Python's generator. `keras.utils.set_random_seed` would also clear
        # TensorFlow's cache of all that this process has compiled, half a second's work for the next run.
        before = random.getstate()
        random.seed(zlib.crc32(f"{axis} {settings.seed}".encode()))
        # Only the networks compute in lower precision: densities and their sums stay in float32.
        keras.config.set_dtype_policy(settings.training.precision if axis in ("encoder", "decoder") else "float32")
        try:
            made = make(options[axis], **arguments)
            if input_shape is not None:
                made.build((None, *input_shape))
            return made
        finally:
            keras.config.set_dtype_policy("float32")
            random.setstate(before)

    posterior = part("posterior", latent_size=settings.latent_size)
    encoder = part("encoder", image_shape, output_size=posterior.params_size)
    seen_shape = (*encoder.output_shape[1:-1], settings.latent_size)  # by the decoder: of layers the first
    latent_shape = (*seen_shape[:-1], seen_shape[-1] + sum(options["posterior"].get("upper", ())))
    likelihood = part("likelihood", **extra_arguments(options["likelihood"], levels=levels))
    offered = extra_arguments(options["prior"], image_shape=image_shape, train_images=images)
    prior = part("prior", latent_shape=latent_shape, **offered)
    output_bias = None
    if train_mean is not None:
        per_pixel = get_class(options["decoder"]["_target_"]).bias_per_pixel
        output_bias = likelihood.initial_parameters(
            train_mean if per_pixel else train_mean.mean(axis=(0, 1), keepdims=True)
        )
    output_shape = (*image_shape[:2], image_shape[2] * likelihood.params_size)
    decoder = part("decoder", seen_shape, latent_shape=seen_shape, output_shape=output_shape, output_bias=output_bias)
    if tuple(decoder.output_shape[1:]) != output_shape:
        raise UsageError(
            f"decoder={options['decoder']['name']} gives parameters of shape {tuple(decoder.output_shape[1:])}, and "
            f"likelihood={options['likelihood']['name']} on data={options['data']['name']} needs {output_shape}"
        )
    model = VAE(encoder, posterior, decoder, likelihood, prior, latent_shape)
    model.build((None, *image_shape))
    return model
