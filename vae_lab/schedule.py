"""Learning-rate schedules in epochs, as Keras's own schedule classes in steps.

Each function returns what a Keras optimizer takes as its `learning_rate`.
"""

import keras


def constant(learning_rate: float, steps_per_epoch: int, total_epochs: int) -> float:
    """The learning rate throughout."""
    return learning_rate


def piecewise(learning_rate: float, steps_per_epoch: int, total_epochs: int, epochs: list, factors: list):
    """`learning_rate * factors[i]`, moving on to the next factor after `epochs[i]` epochs."""
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        boundaries=[round(epoch * steps_per_epoch) - 1 for epoch in epochs],  # Keras changes after its boundary
        values=[learning_rate * factor for factor in factors],
    )


def cosine(learning_rate: float, steps_per_epoch: int, total_epochs: int, final_factor: float, warmup_epochs: float):
    """Rises linearly from 0 over `warmup_epochs`, then falls to `final_factor * learning_rate` along half a cosine."""
    warmup_steps = round(warmup_epochs * steps_per_epoch)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else learning_rate,
        decay_steps=max(1, total_epochs * steps_per_epoch - warmup_steps),
        alpha=final_factor,
        warmup_target=learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
