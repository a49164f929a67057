"""What makes two runs the same run (three hashes), and two models the same compiled program."""

import hashlib
import json
from typing import Any

from vae_lab.data.dataset import identity as data_identity
from vae_lab.run.device import gpus

# Raise it by one whenever a change of the code changes results.
NUMERICS_VERSION = 6

# Keys, or how they begin, that say where and how fast, not what: a run is the same with or without them.
PLACES = (
    "hydra",
    "sweep.",
    "tracking",
    "paths.",
    "data.dir",
    "data.path",
    "training.checkpoint_seconds",
    "evaluation.images_every",
    "evaluation.pictures",
)

AXES = ("data", "binarization", "encoder", "posterior", "decoder", "likelihood", "prior", "estimator")


def _content(cfg: dict[str, Any], node: str, *left_out: str) -> dict[str, Any]:
    """What counts of a node: its settings without facts and places."""
    ignored = ("facts", *left_out)
    return {key: value for key, value in cfg[node].items() if key not in ignored and f"{node}.{key}" not in PLACES}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def resolve_jit(cfg: dict[str, Any]) -> bool:
    """Whether XLA compiles: `training.jit`, where auto means yes, but for convolutions on a CPU: oneDNN is faster."""
    if cfg["training"]["jit"] != "auto":
        return cfg["training"]["jit"]
    convolutional = any((cfg[axis].get("facts") or {}).get("convolutional") for axis in ("encoder", "decoder"))
    return not convolutional or bool(gpus())


def training_content(cfg: dict[str, Any]) -> dict[str, Any]:
    """What a trained run depends on but for its data's values, from a resolved plain configuration."""
    content: dict[str, Any] = {axis: _content(cfg, axis) for axis in AXES}
    content |= {"optimizer": cfg["optimizer"], "schedule": cfg["schedule"]}
    content |= {"training": _content(cfg, "training", "jit"), "jit": resolve_jit(cfg)}
    if cfg["training"]["select"] == "best" or cfg["training"]["early_stopping"]["patience"] is not None:
        content["validation"] = {key: cfg["evaluation"][key] for key in ("seed", "samples")}
    return content | {"latent_size": cfg["latent_size"], "seed": cfg["seed"]}


def hashes_of(cfg: dict[str, Any]) -> dict[str, str]:
    """Returns the tags that identify a run.

    `vae_lab.training`: the same weights come out. `vae_lab.evaluation`: the same metrics too. `vae_lab.group`: the
    same but for the seed. `vae_lab.numerics`: the version of the results.

    Raises:
      UsageError: where the data's files are missing or are not what they must be.
    """
    data = {"data_sha256": data_identity(cfg["data"]), "numerics_version": NUMERICS_VERSION}
    training = training_content(cfg) | data
    evaluation = training | {"evaluation": _content(cfg, "evaluation")}
    group = {key: value for key, value in training.items() if key != "seed"}
    return {
        "vae_lab.training": _digest(training),
        "vae_lab.evaluation": _digest(evaluation),
        "vae_lab.group": _digest(group),
        "vae_lab.numerics": str(NUMERICS_VERSION),
    }


def model_structure(cfg: dict[str, Any]) -> str:
    """What a model and its compiled evaluations depend on: its parts, not how or on which values they are trained."""
    parts = {axis: _content(cfg, axis) for axis in AXES if axis not in ("binarization", "estimator")}
    # The pixels' levels follow from the binarization; for the same model they must be the same.
    levels = cfg["binarization"]["facts"]["pixels"]
    precision = cfg["training"]["precision"]
    return _digest(parts | {"pixels": levels, "latent_size": cfg["latent_size"], "precision": precision})


def training_structure(cfg: dict[str, Any], rows: int = 0) -> str:
    """What a compiled training loop depends on: all but the seed, the data's values and a constant learning rate."""
    content = training_content(cfg)
    del content["seed"]
    content["rows"] = rows
    content["training"] = {
        key: content["training"][key] for key in ("batch_size", "loss_reduction", "normalize_gradients", "precision")
    }
    if cfg["schedule"]["_target_"].endswith(".constant"):
        content["optimizer"] = _content(cfg, "optimizer", "learning_rate")
    else:
        content["epochs"] = cfg["training"]["epochs"]
    return _digest(content)
