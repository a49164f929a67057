"""From rate and distortion to an estimator's terms."""

from vae_lab.protocols import Terms


class Objective:
    """What all estimators of the plain ELBO share: how many samples, and beta.

    Args:
      samples: K, draws of z an image.
      beta: weight of the rate in the loss (Higgins et al. 2017). The reported ELBO never contains it.
    """

    def __init__(self, samples, beta):
        self.samples = samples
        self.beta = beta

    def terms(self, rate, distortion) -> Terms:
        """rate [B] and distortion [B] -> all terms of the ELBO."""
        elbo = -(rate + distortion)
        return Terms(loss=distortion + self.beta * rate, rate=rate, distortion=distortion, elbo=elbo, bound=elbo)
