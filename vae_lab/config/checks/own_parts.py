"""Metrics, pictures and callbacks of one's own: each has a name that is free, and a class that is there."""

import re

from omegaconf import OmegaConf

from vae_lab.config.checks.facts import Config
from vae_lab.config.checks.reading import shown
from vae_lab.config.checks.signatures import check_target
from vae_lab.errors import UsageError
from vae_lab.evaluation.pictures import PICTURES

# Names of ours, by group.
OWN: dict[str, tuple[str, ...]] = {
    "evaluation.metrics": (
        *("elbo", "elbo_se", "rate", "distortion", "bound", "loss", "log_likelihood", "log_likelihood_se"),
        *("active_units", "bits_per_dim", "index_code_mi", "aggregate_kl", "posterior_mean"),
    ),
    "evaluation.own_pictures": PICTURES,
    "training.callbacks": ("running", "train", "val", "test", "perf", "gradient"),
}


def check_own_parts(cfg: Config) -> None:
    """Every entry of these groups is NAME: {_target_: CLASS, settings}."""
    for group, ours in OWN.items():
        node = OmegaConf.select(cfg, group)
        if node is None:
            continue  # a run of before there was such a group
        if not OmegaConf.is_dict(node):
            raise UsageError(f"{group}={shown(node)} must be a group of NAME: {{_target_: CLASS}}")
        for name, option in node.items():
            key = f"{group}.{name}"
            if not re.fullmatch(r"[A-Za-z]\w*", str(name)):
                raise UsageError(f"{key}: a name is of letters, digits and _, and begins with a letter")
            if str(name) in ours:
                raise UsageError(f"{key}: {name} is one of our own names; choose another")
            if not OmegaConf.is_dict(option) or not option.get("_target_"):
                raise UsageError(f"{key}={shown(option)} must be {{_target_: CLASS}}, with its settings")
            check_target(key, key, str(option["_target_"]), option)
