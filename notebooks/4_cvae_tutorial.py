# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The convolutional tutorial: two latents, every term by one sample
#
# TensorFlow's tutorial trains a small convolutional VAE on digits that are 0 or 1 by a threshold, and takes the ELBO as
# one number: log p(x|z) + log p(z) - log q(z|x) at one draw of z. It prints a test ELBO of -155.91 after ten epochs;
# whether that comes out is the experiment's expectation.

# %%
import lesson
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

runs = lesson.runs("cvae_tutorial")
run = runs["latent-2"]
model, x = run.model, lesson.first_images(run)

# %% [markdown]
# ## Encode
#
# The encoder's features are a mean and a log variance, one after the other. That is
# `posterior.scale_activation=sqrt_exp`: the scale is exp(half the feature).

# %%
features = model.features(x)
mean, log_variance = tf.split(features, 2, axis=-1)
q = model.encode(x)
floor = run.settings.options["posterior"]["scale_floor"]
np.testing.assert_allclose(q.mean(), mean, rtol=1e-5)
np.testing.assert_allclose(q.stddev(), tf.exp(log_variance / 2) + floor, rtol=1e-3)

# %% [markdown]
# ## Sample: the reparameterization
#
# z = mean + scale * noise, so that the gradient of anything computed from z reaches the encoder.

# %%
noise = tf.random.stateless_normal(mean.shape, seed=(0, 1))
z = q.mean() + q.stddev() * noise


def log_normal(value, mean, scale):
    """log N(value; mean, diag(scale^2)), summed over the last axis."""
    return tf.reduce_sum(-(((value - mean) / scale) ** 2) / 2 - tf.math.log(scale) - np.log(2 * np.pi) / 2, -1)


log_q, log_p = log_normal(z, q.mean(), q.stddev()), log_normal(z, 0.0, tf.ones_like(z))
np.testing.assert_allclose(log_q, q.log_prob(z), rtol=1e-3, atol=1e-3)
np.testing.assert_allclose(log_p, model.latent_prior().log_prob(z), rtol=1e-3, atol=1e-3)

# %% [markdown]
# ## Decode
#
# The decoder gives a logit for each pixel; log p(x|z) is minus the cross-entropy, *summed* over the pixels of an image.
# A mean over pixels would be the ELBO of nothing.

# %%
logits = model.likelihood_parameters(z)
cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
distortion = tf.reduce_sum(cross_entropy, (1, 2, 3))
np.testing.assert_allclose(distortion, -model.decode(z).log_prob(x), rtol=1e-4)

# %% [markdown]
# ## The ELBO by one sample, and what the sample's noise is
#
# `log q - log p` is one sample's estimate of the rate. Its mean is the KL in closed form; its spread is what
# `estimator=analytic_kl` saves.

# %%
rate = log_q - log_p
print(f"ELBO by this draw: {tf.reduce_mean(-(rate + distortion)):.2f} nats an image")
terms = lesson.terms(run, x)
np.testing.assert_allclose(terms.elbo, -(terms.rate + terms.distortion), rtol=1e-5)

closed = tf.reduce_sum((q.variance() + q.mean() ** 2 - 1 - tf.math.log(q.variance())) / 2, -1)
many = q.sample(2000, seed=(0, 2))
estimates = q.log_prob(many) - model.latent_prior().log_prob(many)
error = tf.math.reduce_std(estimates, 0) / np.sqrt(2000)
distance = tf.abs(tf.reduce_mean(estimates, 0) - closed) / error
assert float(tf.reduce_max(distance)) < 6
print(f"rate in closed form {tf.reduce_mean(closed):.3f}, standard error of 2000 draws {tf.reduce_mean(error):.3f}")

# %% [markdown]
# ## Two latents are a map
#
# Every point of the plane decodes to an image.

# %%
side = 12
quantiles = tfp.distributions.Normal(0.0, 1.0).quantile(tf.linspace(0.05, 0.95, side))
grid = tf.stack(tf.meshgrid(quantiles, quantiles), -1)
images = model.decode(tf.reshape(grid, (-1, 2))).mean()
height, width = images.shape[1:3]
sheet = tf.reshape(images, (side, side, height, width))
plt.imshow(tf.reshape(tf.transpose(sheet, (0, 2, 1, 3)), (side * height, side * width)), cmap="gray_r")
plt.axis("off")

# %% [markdown]
# ## In MLflow
#
# The slider of `prior_samples` is the epoch: its latents are the same ones in every epoch and run.

# %%
lesson.look(runs)
