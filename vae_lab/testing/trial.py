"""A part on trial: how it is made, small, and how a check says what is wrong with it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.config import compose, parts
from vae_lab.config.options import option_names, read_option
from vae_lab.errors import UsageError

SEED = (3, 5)
# What makes an option small, where it has such a setting.
SMALL: dict[str, Any] = {
    "hidden": [8],
    "components": 3,
    "categories": 3,
    "context": 4,
    "couplings": 2,
    "steps": 2,
    "reflections": 2,
    "bins": 4,
    "upper": [1],
}


@dataclass(frozen=True)
class Trial:
    """An option whose part is checked.

    Attributes:
      option: its settings and facts.
    """

    axis: str
    name: str
    option: Mapping[str, Any]

    @property
    def called(self) -> str:
        """As the command line says it."""
        return f"{self.axis}={self.name}"

    def fact(self, name: str, default: Any = None) -> Any:
        """What the option's YAML states."""
        return (self.option.get("facts") or {}).get(name, default)

    def states(self, name: str) -> str:
        """A stated fact, as a check's message begins."""
        return f"its YAML states {name}: {self.fact(name)}" if self.fact(name) else f"its YAML does not state {name}"

    def make(self, changes: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
        """The part, with the same initial weights each time."""
        return make_option({**self.option, **(changes or {})}, **arguments)

    def require(self, holds: Any, fault: str) -> None:
        """Raises AssertionError with what is wrong unless `holds`."""
        if not holds:
            raise AssertionError(f"{self.called}: {fault}")

    def agree(self, found: Any, expected: Any, fault: str, rtol: float = 1e-4, atol: float = 1e-4) -> None:
        """Raises AssertionError unless two arrays are equal within tolerances."""
        found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
        self.require(found.shape == expected.shape, f"{fault}: shape {found.shape} in the place of {expected.shape}")
        difference = np.abs(found - expected)
        largest = difference.max() if difference.size else 0.0
        self.require(np.all(difference <= atol + rtol * np.abs(expected)), f"{fault}; largest difference {largest:.3g}")


def on_trial(axis: str, name: str, settings: Mapping[str, Any] | None = None) -> Trial:
    """An option, made small.

    Args:
      settings: changes of the option's own.

    Raises:
      UsageError: where there is no such option, or it has no such setting.
    """
    if name not in option_names(axis):
        raise UsageError(f"{axis}={name}: there is no such option; there are {', '.join(option_names(axis))}")
    option = compose.plain(read_option(axis, name))
    if unknown := sorted(set(settings or {}) - set(option)):
        raise UsageError(f"{axis}={name} has no setting {unknown[0]}; it has {', '.join(sorted(option))}")
    small = {key: value for key, value in SMALL.items() if key in option}
    if axis in ("encoder", "decoder"):
        small.pop("context", None)
    return Trial(axis, name, {**option, **small, **(settings or {})})


def make_option(option: Mapping[str, Any], **arguments: Any) -> Any:
    """Instantiates an option; its weights start from one seed."""
    before = random.getstate()
    random.seed(1)
    try:
        return parts.make(option, **arguments)
    finally:
        random.setstate(before)


def scrambled(part: Any, spread: float = 0.5) -> Any:
    """The part with weights far from where they start."""
    rng = np.random.default_rng(6)
    for weight in part.weights:
        weight.assign(rng.normal(size=weight.shape) * spread)
    return part


def normal_draws(shape: tuple[int, ...], size: float = 1.0, seed: int = 0) -> Any:
    """Fixed Gaussian numbers."""
    return tf.constant(np.random.default_rng(seed).normal(size=shape) * size, tf.float32)


def modes(function: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """A function as it is, as a graph, and compiled by XLA."""
    return {
        "eagerly": function,
        "as a graph": tf.function(function),
        "under XLA": tf.function(function, jit_compile=True),
    }


def loops(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function's own graph has a loop; those of the samplers that it calls do not count."""
    graph = tf.function(function).get_concrete_function(*arguments).graph
    return any(operation.type in ("While", "StatelessWhile") for operation in graph.get_operations())
