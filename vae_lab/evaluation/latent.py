"""What the latents carry."""

import numpy as np


def active_units(posterior_mean: np.ndarray, threshold: float = 0.01) -> int:
    """How many latents have posterior means [N, latents] whose variance over images is above the threshold.

    References: Burda, Grosse, Salakhutdinov 2016, section 5.
    """
    return int(np.sum(np.var(posterior_mean, axis=0) > threshold))
