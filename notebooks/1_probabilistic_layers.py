# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Three latents, and a prior that is learned
#
# A convolutional VAE with three latents. The posterior is a Gaussian with a full covariance; the prior is first N(0,
# I), then a mixture of Gaussians whose weights, means and covariances are learned with the rest. The lesson's system
# was built from TensorFlow Probability's layers, where the KL hides in a regularizer. Here each term stands by itself.

# %%
import lesson
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

runs = lesson.runs("probabilistic_layers")
run = runs["beta-1"]

# %% [markdown]
# ## Encode
#
# `model.encode` gives q(z|x), a distribution with a batch of images. Its covariance is T T', with T lower triangular
# and positive on the diagonal.

# %%
model, x = run.model, lesson.first_images(run)
q = model.encode(x)
print(q)
print("mean of the first image:", q.mean()[0].numpy())
print("its covariance:\n", q.covariance()[0].numpy())

# %% [markdown]
# ## Sample, and the rate
#
# The rate is KL(q(z|x), p(z)). With the prior N(0, I) of L latents it is, with m the mean and T the triangle,
#
#     (sum of T's squared entries + m'm - L) / 2 - sum of log of T's diagonal
#
# One sample estimates it by log q(z|x) - log p(z): unbiased, and noisy.

# %%
prior = model.latent_prior()
m, triangle = q.mean(), q.scale_tril
latents = m.shape[-1]
rate = (tf.reduce_sum(triangle**2, (-2, -1)) + tf.reduce_sum(m**2, -1) - latents) / 2 - tf.reduce_sum(
    tf.math.log(tf.linalg.diag_part(triangle)), -1
)
np.testing.assert_allclose(rate, tfp.distributions.kl_divergence(q, prior), rtol=1e-4, atol=1e-4)

z = q.sample(1000, seed=(0, 1))
sampled = q.log_prob(z) - prior.log_prob(z)
error = tf.math.reduce_std(sampled, 0) / np.sqrt(1000)
print(f"rate of the first image: {rate[0]:.3f} by the formula, {tf.reduce_mean(sampled, 0)[0]:.3f} ± {error[0]:.3f}")

# %% [markdown]
# ## Decode, and the distortion
#
# The distortion is -E log p(x|z). Pixels are binary, so log p(x|z) is a sum of Bernoulli terms over the image.

# %%
z = q.sample(seed=(0, 1))
logits = model.likelihood_parameters(z)
by_hand = -tf.reduce_sum(x * tf.math.log_sigmoid(logits) + (1 - x) * tf.math.log_sigmoid(-logits), (1, 2, 3))
np.testing.assert_allclose(by_hand, -model.decode(z).log_prob(x), rtol=1e-4)

# %% [markdown]
# ## The ELBO, and the mistake of counting the rate twice
#
# `elbo = -(rate + distortion)`. The harness's estimator says the same of the same draw; `beta` weighs the rate in the
# *loss* alone. The arm `beta-2` trains what the layers' regularizer made of it: the loss counts the rate twice, while
# its ELBO is still reported as it is. That is why the two arms can be compared.

# %%
for arm, one in runs.items():
    terms = lesson.terms(one, x)
    beta = one.settings.options["estimator"]["beta"]
    np.testing.assert_allclose(terms.elbo, -(terms.rate + terms.distortion), rtol=1e-5)
    np.testing.assert_allclose(terms.loss, terms.distortion + beta * terms.rate, rtol=1e-5)
    print(arm, *(f"{name} {tf.reduce_mean(value):.2f}" for name, value in terms._asdict().items()))

# %% [markdown]
# ## A prior that is learned
#
# `prior=mixture prior.components=25 prior.covariance=full` is all that changes. No closed form is known of the KL
# between a Gaussian and a mixture, so the rate is that of the samples.

# %%
mixtures = lesson.runs("probabilistic_layers_mixture")
mixture = mixtures["beta-1"]
p = mixture.model.latent_prior()
weights = tf.nn.softmax(mixture.model.prior.logits)
z = mixture.model.encode(x).sample(seed=(0, 1))
components = p.components_distribution.log_prob(z[:, tf.newaxis])
np.testing.assert_allclose(
    p.log_prob(z), tf.reduce_logsumexp(tf.math.log(weights) + components, axis=-1), rtol=1e-4, atol=1e-4
)
print("weights of the components:", np.sort(weights.numpy())[::-1].round(3))

# %% [markdown]
# Draws from it, decoded: the means of the pixels.

# %%
means = mixture.model.decode(p.sample(16, seed=(0, 2))).mean()
figure, axes = plt.subplots(2, 8, figsize=(8, 2))
for axis, image in zip(axes.flat, means, strict=True):
    axis.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
    axis.axis("off")

# %% [markdown]
# ## In MLflow
#
# Both studies are there with their curves, pictures and weights. Read `test/rate` beside `test/elbo`: of the two arms,
# that with beta 2 has the lower rate.

# %%
lesson.look({f"mvn {arm}": one for arm, one in runs.items()} | {f"mixture {arm}": one for arm, one in mixtures.items()})
