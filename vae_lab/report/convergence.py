"""Whether the log-likelihoods of two arms are near enough to their limits for the order of the arms to hold."""

from collections.abc import Sequence

import numpy as np

from vae_lab.tracking.records import RunRecord

OF_ESTIMATE = ("log_likelihood", "nll", "bits_per_dim")
RISE, HIGH = "log_likelihood_rise", "high_pareto_k"


def could_turn(pairs: Sequence[tuple[RunRecord, RunRecord]], metric: str) -> str | None:
    """Why more importance samples could turn the order of two arms; None where nothing says so.

    An estimate L_K is too low by a bias of its own in each arm. Where that falls as 1/K it is about the last rise,
    L_K - L_{K/2}; where the Pareto k of most images is above .7 it falls more slowly, and the rise says too little. So
    an order could turn where the mean rises differ by more than the mean log-likelihoods and the arm behind is the one
    that rises more, or where most images have a k above .7 in one arm alone.

    Args:
      pairs: runs of the two arms by seed.
      metric: that they are compared by.
    """
    split, _, quantity = metric.partition("/")
    if quantity not in OF_ESTIMATE:
        return None
    difference, rise, *high = (means(pairs, f"{split}/{name}") for name in ("log_likelihood", RISE, HIGH))
    if high[0] is not None and (high[0][0] > 0.5) != (high[0][1] > 0.5):
        shares = " and ".join(f"{share:.0%}" for share in high[0])
        return f"Pareto k is above .7 for {shares} of the images: only one of the two estimates can be relied on"
    if difference is None or rise is None:
        return None
    apart, rises_apart = difference[0] - difference[1], rise[0] - rise[1]
    if apart * rises_apart < 0 and abs(rises_apart) > abs(apart):
        rises = " and ".join(f"{one:.2g}" for one in rise)
        return (
            f"from K/2 to K samples their log-likelihoods still rise by {rises} nats, further apart than the arms, "
            "and the one behind by more"
        )
    return None


def means(pairs: Sequence[tuple[RunRecord, RunRecord]], key: str) -> tuple[float, float] | None:
    """A metric's mean over runs, of either arm; None where a run has none."""
    if not all(key in run.metrics for pair in pairs for run in pair):
        return None
    one, other = np.mean([[run.metrics[key] for run in pair] for pair in pairs], axis=0)
    return float(one), float(other)
