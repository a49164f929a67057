"""From configuration to parts."""

import os
import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vae_lab.config.checks import check
from vae_lab.config.checks.facts import fact
from vae_lab.errors import UsageError

PACKAGE = Path(__file__).resolve().parent.parent
# In a checkout conf/ lies beside the package, in an installed package inside it.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"


# What a configuration holds beside the model, its training and its evaluation.
NOT_OF_THE_MODEL = ("paths", "sweep", "study", "short", "tracking")


def home() -> str:
    """Where runs are kept: VAE_LAB_HOME, else the checkout, else the current directory."""
    checkout = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else Path.cwd()
    return str(Path(os.environ.get("VAE_LAB_HOME", checkout)).expanduser().resolve())


OmegaConf.register_new_resolver("vae_lab.home", home, replace=True)


def compose(*overrides: str) -> Any:
    """Composes and checks a run's configuration from Python, by the overrides of the command line.

    >>> cfg = compose("data=mnist", "prior=mixture", "prior.components=25")
    """
    cfg = compose_unchecked(*overrides)
    check(cfg)
    return cfg


def compose_unchecked(*overrides: str) -> Any:
    """Composes a configuration that need not be able to run."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra_compose("train", list(overrides))


def default_tracking_uri() -> str:
    """Where runs are tracked when no option says otherwise."""
    return compose_unchecked().tracking.uri


def plain(cfg: Any) -> dict[str, Any]:
    """A configuration as nested dicts and lists, all interpolations resolved."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))


def to_yaml(cfg: Any) -> str:
    """A configuration as YAML, all interpolations resolved."""
    return OmegaConf.to_yaml(OmegaConf.create(plain(cfg)))


def from_yaml(text: str, overrides: Sequence[str] = ()) -> Any:
    """The configuration that `to_yaml` wrote, with `key=value` changes of keys it has.

    Raises:
      UsageError: when it has no such key.
    """
    cfg = OmegaConf.create(text)
    OmegaConf.set_struct(cfg, True)
    for override in overrides:
        try:
            cfg.merge_with(OmegaConf.from_dotlist([override]))
        except OmegaConfBaseException as error:
            raise UsageError(f"{override}: the run's configuration has no such key") from error
    check(cfg)
    return cfg


def evaluation_of(text: str, changes: Sequence[str]) -> Any:
    """A run's configuration, as `to_yaml` wrote it, with other settings of its evaluation or places of its data.

    Raises:
      UsageError: when a change is none of these, or of a key that there is not.
    """
    for change in changes:
        if not change.startswith(("evaluation.", "data.dir=", "data.path=")):
            raise UsageError(
                f"{change} would make another run of it; only evaluation.*, data.dir and data.path can be changed"
            )
    return from_yaml(text, changes)


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, by dotted keys; lists are leaves."""
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves


def option_names(axis: str) -> list[str]:
    """What an axis can be: the YAML files of its folder."""
    return sorted(path.stem for path in (CONF / axis).glob("*.yaml"))


def read_option(axis: str, name: str) -> Any:
    """An option's own settings and facts."""
    return OmegaConf.load(CONF / axis / f"{name}.yaml")


def make(option: Any, **arguments: Any) -> Any:
    """Instantiates an option's `_target_` with its own settings and these arguments."""
    settings = {key: value for key, value in option.items() if key not in ("name", "facts")}
    try:
        return instantiate(settings, **arguments, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, UsageError):  # Hydra wraps what a constructor raises
            raise error.__cause__ from None
        raise


def extra_arguments(option: Any, **offered: Any) -> dict[str, Any]:
    """Those of the offered constructor arguments that the option's fact `takes` asks for."""
    return {name: offered[name] for name in fact(option, "takes", [])}


def make_estimator(cfg: Any) -> Any:
    """The estimator of a configuration."""
    return make(cfg.estimator)


def make_binarization(cfg: Any) -> Any:
    """The binarization of a configuration."""
    return make(cfg.binarization)


def make_optimizer(cfg: Any, steps_per_epoch: int) -> tuple[Any, float | None]:
    """The optimizer, and its learning rate where that is a number and not a schedule."""
    rate = make(
        cfg.schedule,
        learning_rate=float(cfg.optimizer.learning_rate),
        steps_per_epoch=steps_per_epoch,
        total_epochs=cfg.training.epochs,
    )
    return make(cfg.optimizer, learning_rate=rate), rate if isinstance(rate, float) else None


def make_model(
    cfg: Any, image_shape: tuple[int, ...], levels: int, train_mean: Any = None, train_images: Any = None
) -> Any:
    """Builds the VAE with the initial weights of its seed.

    The weights of a part depend on the seed and that part alone, so that runs that differ in one axis start from the
    same weights in all others.

    Args:
      cfg: the configuration.
      image_shape: [H, W, C].
      levels: grey levels of the pixels that the likelihood scores.
      train_mean: mean training image [H,W,C] in [0, 1]; without it output biases start at zero.
      train_images: some training images [N,H,W,C] in [0, 1], for parts that start from them.
    """
    import keras

    from vae_lab.model import VAE

    def part(axis: str, input_shape: tuple[int, ...] | None = None, **arguments: Any) -> Any:
        # Keras's initializers take their seeds from Python's generator. `keras.utils.set_random_seed` would also clear
        # TensorFlow's cache of all that this process has compiled, half a second's work for the next run.
        before = random.getstate()
        random.seed(zlib.crc32(f"{axis} {cfg.seed}".encode()))
        # Only the networks compute in lower precision: densities and their sums stay in float32.
        keras.config.set_dtype_policy(cfg.training.precision if axis in ("encoder", "decoder") else "float32")
        try:
            made = make(cfg[axis], **arguments)
            if input_shape is not None:
                made.build((None, *input_shape))
            return made
        finally:
            keras.config.set_dtype_policy("float32")
            random.setstate(before)

    posterior = part("posterior", latent_size=cfg.latent_size)
    encoder = part("encoder", image_shape, output_size=posterior.params_size)
    latent_shape = (*encoder.output_shape[1:-1], cfg.latent_size)
    likelihood = part("likelihood", **extra_arguments(cfg.likelihood, levels=levels))
    prior = part(
        "prior",
        latent_shape=latent_shape,
        **extra_arguments(cfg.prior, image_shape=image_shape, train_images=train_images),
    )
    output_bias = None
    if train_mean is not None:
        per_pixel = get_class(cfg.decoder._target_).bias_per_pixel
        output_bias = likelihood.initial_parameters(
            train_mean if per_pixel else train_mean.mean(axis=(0, 1), keepdims=True)
        )
    output_shape = (*image_shape[:2], image_shape[2] * likelihood.params_size)
    decoder = part(
        "decoder", latent_shape, latent_shape=latent_shape, output_shape=output_shape, output_bias=output_bias
    )
    if tuple(decoder.output_shape[1:]) != output_shape:
        raise UsageError(
            f"decoder={cfg.decoder.name} gives parameters of shape {tuple(decoder.output_shape[1:])}, and "
            f"likelihood={cfg.likelihood.name} on data={cfg.data.name} needs {output_shape}"
        )
    model = VAE(encoder, posterior, decoder, likelihood, prior, latent_shape)
    model.build((None, *image_shape))
    return model
