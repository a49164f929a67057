"""Which epochs train while the weight of the rate still rises."""


def warms_up(epoch: int, warmup_epochs: float, cycle_epochs: float | None) -> bool:
    """Whether the rate weighs less than it will at some time of an epoch's training.

    Args:
      epoch: counted from 1.
      warmup_epochs: over which the weight rises, from the beginning.
      cycle_epochs: after which the rise begins again; None for a single one.
    """
    if not warmup_epochs:
        return False
    if cycle_epochs is None:
        return epoch - 1 < warmup_epochs
    position = (epoch - 1) % cycle_epochs
    return position < warmup_epochs or position + 1 > cycle_epochs
