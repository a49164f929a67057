"""The mean of several importance-weighted bounds."""

from vae_lab.estimator.importance_weighted import ImportanceWeighted


class MultiplyImportanceWeighted(ImportanceWeighted):
    """MIWAE: the mean of M independent L_K, a looser bound than L_MK whose encoder gradient is less noisy.

    The importance-weighted estimator with M > 1, under the name by which it is known. References: Rainforth et al.,
    "Tighter Variational Bounds are Not Necessarily Better", 2018, section 5.
    """
