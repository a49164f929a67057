"""What is asked of the weights of any part."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.testing.trial import Trial

Use = Callable[[Any], Any]  # part -> a tensor that depends on all that it has


def check_weights(trial: Trial, part: Any, use: Use, others: Sequence[Any] = ()) -> None:
    """Every weight is Keras's, has a name of its own, and gets a gradient.

    Args:
      others: weights that `use` reads of another part.
    """
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(use(part))
    known = {weight.value.ref() for weight in (*part.weights, *others)}
    raw = [variable.name for variable in tape.watched_variables() if variable.ref() not in known]
    trial.require(
        not raw, f"tf.Variable {', '.join(map(repr, raw))} is no weight of it, so it is not trained; use add_weight"
    )
    paths = [weight.path for weight in part.weights]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    trial.require(not twice, f"two weights are called {', '.join(map(repr, twice))}; give each a name")
    variables = part.trainable_variables
    for weight, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        trial.require(
            gradient is not None,
            f"weight {weight.name!r} gets no gradient; read it at each call, and make distributions in distribution(), "
            "not in __init__",
        )
        trial.require(
            np.any(tf.convert_to_tensor(gradient).numpy() != 0),
            f"weight {weight.name!r} has no effect: its gradient is 0",
        )


def check_saved(trial: Trial, part: Any, other: Any, use: Use) -> None:
    """Weights that are saved and loaded give the same numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.weights.h5"
        part.save_weights(path) if hasattr(part, "save_weights") else _container(part).save_weights(path)
        for weight in other.weights:
            weight.assign(tf.zeros_like(weight.value) + 0.25)
        other.load_weights(path) if hasattr(other, "load_weights") else _container(other).load_weights(path)
    trial.require(
        np.array_equal(np.asarray(use(other)), np.asarray(use(part))),
        "weights that were saved and loaded do not give the same numbers; all that it learns must be weights",
    )


def _container(part: Any) -> Any:
    """A model that holds a part: layers alone save nothing."""
    import keras

    class Container(keras.Model):
        def __init__(self, part: Any) -> None:
            super().__init__(name="container")
            self.part = part
            self.built = True

    return Container(part)
