"""The inverse of an increasing function: which parameter has the asked mean."""

import numpy as np

HALVINGS = 80  # from any bracket used here to the last bit of a float64


def increasing_inverse(function, target, low, high):
    """Solves function(t) = target for each entry.

    Args:
      function: increases in each entry of its argument, an array of the target's shape.
      target: array of any shape.
      low, high: numbers with function(low) <= target <= function(high).
    """
    target = np.asarray(target, np.float64)
    low, high = np.full_like(target, low), np.full_like(target, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = function(middle) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
