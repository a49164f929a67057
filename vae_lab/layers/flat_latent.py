"""The check of parts that know no grid."""

from collections.abc import Sequence

from vae_lab.errors import UsageError


def flat_size(option: str, latent_shape: Sequence[int]) -> int:
    """Returns L of a latent shape [L].

    Raises:
      UsageError: when the latent is spatial.
    """
    if len(latent_shape) != 1:
        raise UsageError(
            f"{option} needs a flat latent, and the encoder gives a grid of them, {list(latent_shape)}; use an encoder "
            "that ends in a dense layer, or diagonal covariances (posterior=mvn_diag, prior=mvn or mixture)"
        )
    return int(latent_shape[0])
