"""What options state of themselves in their YAML, and what follows for a configuration."""

import math
from typing import Any

from vae_lab.data.dataset import facts_of

AXES = ("data", "binarization", "encoder", "posterior", "decoder", "likelihood", "prior", "estimator")

# A resolved configuration: attributes by axis, as in conf/train.yaml.
Config = Any


class Resolved(dict):
    """A configuration as plain values, read by attribute too: a check reads hundreds of them, and thousands of jobs."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no setting {name}") from None

    @classmethod
    def of(cls, node: Any) -> Any:
        """Nested dicts with attributes."""
        return cls({key: cls.of(value) for key, value in node.items()}) if isinstance(node, dict) else node

    def plain(self) -> dict[str, Any]:
        """Nested dicts as they were."""
        return {key: value.plain() if isinstance(value, Resolved) else value for key, value in self.items()}


def fact(option: Config, name: str, default: Any = None) -> Any:
    """What an option's YAML states of it."""
    return (option.get("facts") or {}).get(name, default)


def data_fact(cfg: Config, name: str, default: Any = None) -> Any:
    """What is known of the data without loading them: stated in the YAML, or found out of settings and files."""
    return facts_of(cfg.data).get(name, default)


def pixel_kind(cfg: Config) -> str:
    """What the model sees: "binary" pixels, grey "levels", or "continuous" ones."""
    kind = fact(cfg.binarization, "pixels")
    if kind != "levels":
        return kind
    if data_fact(cfg, "values") is not None:
        return "continuous"
    return "binary" if data_fact(cfg, "levels") == 2 else "levels"


def has_closed_form_kl(cfg: Config) -> bool:
    """Whether KL(posterior, prior) has a closed form, by the posterior's stated facts."""
    return cfg.prior.name in fact(cfg.posterior, "closed_form_kl_with", [])


def bits_offset(cfg: Config) -> float | None:
    """What makes -log2 p(x) / D comparable between likelihoods, in bits; None where nothing does.

    Probabilities of the pixels' own levels need nothing; densities of dequantized pixels the log2 of a level's width.
    """
    if fact(cfg.likelihood, "discrete"):
        return None if cfg.likelihood.get("allow_grey") and pixel_kind(cfg) != "binary" else 0.0
    dequantized = pixel_kind(cfg) == "continuous" and data_fact(cfg, "values") is None
    return math.log2(data_fact(cfg, "levels")) if dequantized else None
