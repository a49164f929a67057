# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Gaussian pixels, and the KL in closed form
#
# Grey images of clothes, a decoder that gives the mean of a Gaussian for every pixel, and the rate by its formula.
# Three arms: one sample of z an image, five samples, and a scale of the pixels that is learned.

# %%
import lesson
import numpy as np
import tensorflow as tf

runs = lesson.runs("fashion_normal")
run = runs["one-sample"]
model, x = run.model, lesson.first_images(run)
pixels = int(np.prod(x.shape[1:]))

# %% [markdown]
# ## Encode, and the rate
#
# In the lesson's short form, on 8 x 8 digits, the rate is near 0: against Gaussian noise of scale 1 in every pixel, 64
# pixels are not worth a nat of the latent. On the images of the full form they are.
#
# q(z|x) = N(m, diag(s^2)), and against N(0, I) the rate is a sum over latents of (s^2 + m^2 - 1 - log s^2) / 2. It has
# no noise: `estimator=analytic_kl` takes it where one sample would do, and refuses where there is no formula.

# %%
q = model.encode(x)
m, s = q.mean(), q.stddev()
rate = tf.reduce_sum((s**2 + m**2 - 1 - tf.math.log(s**2)) / 2, -1)
np.testing.assert_allclose(rate, lesson.terms(run, x).rate, rtol=1e-4, atol=1e-4)
print("rate, nats an image:", f"{tf.reduce_mean(rate):.3f}")

# %% [markdown]
# ## Decode, and the distortion
#
# With a fixed scale of 1, -log p(x|z) = |x - mean|^2 / 2 + (D/2) log(2 pi). The second part is the same whatever the
# model: most of such an ELBO says nothing of the pictures.

# %%
z = q.sample(seed=(0, 1))
mean = model.decode(z).mean()
squared = tf.reduce_sum((x - mean) ** 2, (1, 2, 3))
constant = pixels / 2 * np.log(2 * np.pi)
distortion = squared / 2 + constant
np.testing.assert_allclose(distortion, -model.decode(z).log_prob(x), rtol=1e-4)
print(f"half the squared error {tf.reduce_mean(squared) / 2:.2f}, the constant {constant:.2f}")

# %% [markdown]
# ## Several samples
#
# The mean over K samples of the distortion has the same expectation as one sample's, and K times less variance. That is
# what the arm with five samples changes: the noise of the gradient, and not what is estimated.

# %%
draws = -model.decode(q.sample(200, seed=(0, 2))).log_prob(x)
one = tf.math.reduce_std(draws, 0)
five = tf.math.reduce_std(tf.reduce_mean(tf.reshape(draws, (40, 5, -1)), 1), 0)
print(f"deviation of the distortion: {tf.reduce_mean(one):.3f} of one draw, {tf.reduce_mean(five):.3f} of five")

# %% [markdown]
# ## A learned scale
#
# The likelihood is highest at the scale that is the root of the mean squared error of a pixel, and training moves
# there. With the scale learned, the constant is no longer one, and the ELBO can be above 0: it is a density.

# %%
learned = runs["learned-scale"]
z = learned.model.encode(x).sample(seed=(0, 1))
p = learned.model.decode(z)
scale = float(tf.reduce_mean(p.stddev()))
root = float(tf.sqrt(tf.reduce_mean((x - p.mean()) ** 2)))
print(f"learned scale {scale:.3f}, root of the mean squared error {root:.3f}")
by_hand = -tf.reduce_sum((x - p.mean()) ** 2, (1, 2, 3)) / (2 * scale**2) - pixels * np.log(scale * np.sqrt(2 * np.pi))
np.testing.assert_allclose(by_hand, p.log_prob(x), rtol=1e-3)

# %% [markdown]
# ## In MLflow
#
# Compare `test/elbo` of the first two arms; that of the third is of another likelihood, so a report does not pair it.

# %%
lesson.look(runs)
