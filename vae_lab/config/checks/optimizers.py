"""Settings of Keras's optimizers, by the ranges in which they make sense."""

import math

from vae_lab.config.checks.facts import Config
from vae_lab.config.checks.reading import is_count, is_list, is_number, shown, values_of
from vae_lab.errors import UsageError

BELOW_ONE = ("beta_1", "beta_2", "rho", "momentum", "ema_momentum")  # averages of what was: 0 keeps nothing
AT_LEAST_ZERO = ("epsilon", "weight_decay")
TRUTH = ("nesterov", "centered", "amsgrad", "use_ema")


def check_optimizer(cfg: Config) -> None:
    """Decays below 1, nothing negative, truth values true or false."""
    for name in BELOW_ONE:
        for value in values_of(cfg, f"optimizer.{name}"):
            if not (is_number(value) and 0 <= value < 1):
                raise UsageError(f"optimizer.{name}={shown(value)} must be a number from 0 to below 1")
    for name in AT_LEAST_ZERO:
        for value in values_of(cfg, f"optimizer.{name}"):
            if value is None and name == "weight_decay":
                continue
            if not (is_number(value) and 0 <= value < math.inf):
                raise UsageError(f"optimizer.{name}={shown(value)} must be a number of at least 0")
    for name in TRUTH:
        for value in values_of(cfg, f"optimizer.{name}"):
            if not isinstance(value, bool):
                raise UsageError(f"optimizer.{name}={shown(value)} must be true or false")
    for value in values_of(cfg, "schedule.final_factor"):
        if not (is_number(value) and 0 <= value <= 1):
            raise UsageError(f"schedule.final_factor={shown(value)} must be a number from 0 to 1")
    for value in values_of(cfg, "schedule.warmup_epochs"):
        if not (is_number(value) and 0 <= value < math.inf):
            raise UsageError(f"schedule.warmup_epochs={shown(value)} must be a number of at least 0")


def check_layers(cfg: Config) -> None:
    """Widths of convolutions and the size that a decoder starts from are whole numbers of at least 1."""
    for part in ("encoder", "decoder"):
        for key, sizes, such in (("filters", None, "[32,64]"), ("base", 3, "[7,7,32]")):
            for value in values_of(cfg, f"{part}.{key}"):
                if not is_list(value) or not all(map(is_count, value)) or (sizes is not None and len(value) != sizes):
                    many = "three " if sizes == 3 else ""
                    raise UsageError(
                        f"{part}.{key}={shown(value)} must be a list of {many}whole numbers of at least 1, such as "
                        f"{such}"
                    )
