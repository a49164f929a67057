"""The importance-weighted bound of all samples for the model, the mean of several such bounds for the encoder."""

import tensorflow as tf
import tensorflow_probability as tfp

from vae_lab.estimator.objective import Objective


class PartiallyImportanceWeighted(Objective):
    """PIWAE: encoder and posterior get the gradient of the mean of M bounds L_K, all else that of L_MK.

    Both by the same M K samples. The two gradients weigh d log w differently, by u within a group and by v over all
    samples: the loss is that of the M groups, with (v - u) log p(x, z) added at z held fixed, as a function of the
    generative weights alone. A prior that uses the encoder (VampPrior) is differentiated in its own weights there, and
    what it passes to the encoder is the encoder's.

    `bound` is L_MK, to which the model is fitted, the tighter of the two; the encoder's is
    `multiply_importance_weighted`'s. References: Rainforth et al., "Tighter Variational Bounds are Not Necessarily
    Better", 2018, section 5.
    """

    def __call__(self, model, x, seed, epoch=None):
        q, p = model.encode(x), model.latent_prior()
        z = q.sample((self.groups, self.samples), seed=seed)
        rate = q.log_prob(z) - p.log_prob(z)
        distortion = -model.decode(z).log_prob(x)
        log_weight = -(rate + distortion)
        bound = tfp.math.reduce_logmeanexp(log_weight, axis=(0, 1))
        of_groups = tf.reduce_mean(tfp.math.reduce_logmeanexp(log_weight, axis=1), axis=0)

        within = tf.nn.softmax(log_weight, axis=1) / self.groups
        overall = tf.nn.softmax(tf.reshape(log_weight, (self.groups * self.samples, -1)), axis=0)
        difference = tf.stop_gradient(tf.reshape(overall, tf.shape(log_weight)) - within)
        fixed = tf.stop_gradient(z)
        generative = model.decode(fixed).log_prob(x) + own_log_prob(model, fixed)
        surrogate = of_groups + tf.reduce_sum(difference * generative, axis=(0, 1))
        return self.bound_terms(rate, distortion, bound, loss=-(surrogate + tf.stop_gradient(bound - surrogate)))


def own_log_prob(model, z):
    """log p(z), differentiable in the prior's own weights and in z, not in the encoder's weights.

    The encoder's part of the gradient is taken off where the prior asks for posteriors; the weights that it encodes
    for them keep theirs.
    """
    asked = []

    def constant(x):
        asked.append(x)
        return model.encode(x, stop_gradient=True)

    direct = model.prior.distribution(constant).log_prob(z)
    if not asked:
        return direct
    of_encoder = model.prior.distribution(lambda x: model.encode(tf.stop_gradient(x))).log_prob(z)
    return direct + model.latent_prior().log_prob(z) - of_encoder
