"""Which runs can share a model and its compiled functions: equal text for equal structure."""

from typing import Any

from vae_lab.config.checks.facts import AXES
from vae_lab.config.settings import Settings
from vae_lab.study.identity import digest_of, without_places


def model_structure(settings: Settings) -> str:
    """What a model and its compiled evaluations depend on: its parts, not how or on which values they are trained."""
    options = settings.options
    parts = {axis: without_places(axis, options[axis]) for axis in AXES if axis not in ("binarization", "estimator")}
    # The pixels' levels follow from the binarization; for the same model they must be the same.
    levels = options["binarization"]["facts"]["pixels"]
    return digest_of([parts, levels, settings.latent_size, settings.training.precision])


def training_structure(settings: Settings, rows: int = 0) -> str:
    """What a compiled training loop depends on: all but the seed, the data's values and a constant learning rate."""
    options, training = settings.options, settings.training
    content: dict[str, Any] = {axis: without_places(axis, options[axis]) for axis in AXES}
    content |= {"latent_size": settings.latent_size, "rows": rows, "schedule": options["schedule"]}
    loop = (training.batch_size, training.loss_reduction, training.normalize_gradients, training.precision)
    content |= {"optimizer": dict(options["optimizer"]), "training": loop, "jit": training.jit}
    if options["schedule"]["_target_"].endswith(".constant"):
        del content["optimizer"]["learning_rate"]
    else:
        content["epochs"] = training.epochs
    return digest_of(content)
