"""Groups of one-hot categories, one group after the other in a flat vector."""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class OneHot(tfp.distributions.OneHotCategorical):
    """TFP's one-hot category, whose log_prob is linear in its argument, and passes it gradient."""

    def _log_prob(self, x):
        return tf.reduce_sum(x * tf.nn.log_softmax(self.logits), axis=-1)


class PlainReshape(tfp.bijectors.Reshape):
    """TFP's reshape, which inverts every tensor anew.

    Equal bijectors share what they remember: a z that another distribution drew would get back the tensor it was made
    of, and no gradient.
    """

    def inverse(self, y, name="inverse", **kwargs):
        return self._inverse(tf.convert_to_tensor(y))


def flattened_groups(groups, grid):
    """Groups side by side as one vector.

    Args:
      groups: a distribution of batch [..., *grid, G] and event [C].
      grid: how many axes the grid has.

    Returns:
      A distribution of batch [...] and event [*grid, G*C].
    """
    joint = tfd.Independent(groups, grid + 1)
    *axes, count, categories = joint.event_shape
    return tfd.TransformedDistribution(joint, PlainReshape((*axes, count * categories), joint.event_shape))
