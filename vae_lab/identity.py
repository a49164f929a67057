"""What makes two runs the same run (three hashes), and two models the same compiled program."""

import hashlib
import json
from typing import Any

AXES = ("data", "binarization", "encoder", "posterior", "decoder", "likelihood", "prior", "estimator")


def _plain(option: dict[str, Any], *left_out: str) -> dict[str, Any]:
    return {key: value for key, value in option.items() if key not in ("facts", "dir", *left_out)}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def training_content(cfg: dict[str, Any], data_sha256: str, jit: bool, numerics_version: int) -> dict[str, Any]:
    """All that a trained run depends on, from a resolved plain configuration."""
    content: dict[str, Any] = {axis: _plain(cfg[axis]) for axis in AXES}
    content |= {"optimizer": cfg["optimizer"], "schedule": cfg["schedule"], "training": _plain(cfg["training"], "jit")}
    content |= {"latent_size": cfg["latent_size"], "seed": cfg["seed"]}
    content |= {"data_sha256": data_sha256, "jit": jit, "numerics_version": numerics_version}
    return content


def run_hashes(cfg: dict[str, Any], data_sha256: str, jit: bool, numerics_version: int) -> dict[str, str]:
    """Returns the tags that identify a run.

    `vae_lab.training`: the same weights come out. `vae_lab.evaluation`: the same metrics too. `vae_lab.group`: the
    same but for the seed.
    """
    training = training_content(cfg, data_sha256, jit, numerics_version)
    evaluation = training | {"evaluation": _plain(cfg["evaluation"], "batch_size", "images_every", "pictures")}
    group = {key: value for key, value in training.items() if key != "seed"}
    return {
        "vae_lab.training": _digest(training),
        "vae_lab.evaluation": _digest(evaluation),
        "vae_lab.group": _digest(group),
    }


def structure_hash(cfg: dict[str, Any], rows: int, jit: bool) -> str:
    """What a compiled program depends on: everything but the seed, the data's values and a constant learning rate."""
    content = training_content(cfg, "", jit, 0)
    del content["seed"]
    content["rows"] = rows
    content["training"] = {
        key: content["training"][key] for key in ("batch_size", "loss_reduction", "normalize_gradients")
    }
    if cfg["schedule"]["_target_"].endswith(".constant"):
        content["optimizer"] = _plain(cfg["optimizer"], "learning_rate")
    else:
        content["epochs"] = cfg["training"]["epochs"]
    return _digest(content)
