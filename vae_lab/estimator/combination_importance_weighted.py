"""The ELBO and the importance-weighted bound of the same samples, mixed."""

import tensorflow as tf

from vae_lab.estimator.importance_weighted import ImportanceWeighted


class CombinationImportanceWeighted(ImportanceWeighted):
    """CIWAE: b ELBO + (1 - b) L_K, both by the same K samples. A lower bound on log p(x) for b from 0 to 1.

    The M groups are averaged. References: Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better",
    2018, section 5.

    Args:
      elbo_weight: b, which the paper calls beta.
    """

    def __init__(self, elbo_weight, **shared):
        super().__init__(**shared)
        self.elbo_weight = float(elbo_weight)

    def of_groups(self, log_weight):
        elbo, tighter = tf.reduce_mean(log_weight, axis=1), super().of_groups(log_weight)
        return self.elbo_weight * elbo + (1.0 - self.elbo_weight) * tighter
