# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The squared error, dense and on a grid
#
# Two systems that minimize a squared error plus a KL: one of dense layers, one without any, whose latent is a grid of
# vectors. The squared error is a likelihood too: Gaussian pixels of scale 1/sqrt(2), for which
#
#     -log p(x|z) = |x - mean|^2 + (D/2) log(pi)
#
# so that the squared error plus the KL is minus the ELBO up to a constant, with beta = 1 and no other weight.

# %%
import lesson
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

runs = lesson.runs("dense_l2") | lesson.runs("spatial_latent")
dense, spatial = runs["dense-l2"], runs["spatial"]

# %% [markdown]
# ## Dense: each term by hand
#
# In the short form, on 8 x 8 digits, training has just begun and the rates are near 0; the formulas hold all the same.

# %%
model, x = dense.model, lesson.first_images(dense)
q = model.encode(x)
m, s = q.mean(), q.stddev()
rate = tf.reduce_sum((s**2 + m**2 - 1 - tf.math.log(s**2)) / 2, -1)

z = m + s * tf.random.stateless_normal(m.shape, seed=(0, 1))  # a draw from q(z|x), fresh for each image
mean = model.decode(z).mean()
squared = tf.reduce_sum((x - mean) ** 2, (1, 2, 3))
pixels = int(np.prod(x.shape[1:]))
elbo = -(squared + pixels / 2 * np.log(np.pi) + rate)

np.testing.assert_allclose(elbo, model.decode(z).log_prob(x) - rate, rtol=1e-4)
np.testing.assert_allclose(rate, lesson.terms(dense, x).rate, rtol=1e-4, atol=1e-4)
print(f"squared error {tf.reduce_mean(squared):.2f} + rate {tf.reduce_mean(rate):.2f}, ELBO {tf.reduce_mean(elbo):.2f}")

# %% [markdown]
# ### What goes wrong with the formula
#
# Systems of this kind often name a feature log sigma and put it where 2 log sigma belongs. The result is no KL: it can
# be below 0, where it is no bound on anything.

# %%
log_s = tf.math.log(s)
wrong = tf.reduce_sum((tf.exp(log_s) + m**2 - 1 - log_s) / 2, -1)
print(f"rate {tf.reduce_mean(rate):.3f}, with the slip {tf.reduce_mean(wrong):.3f} nats")

# %% [markdown]
# ## A latent on a grid
#
# The encoder keeps height and width: z is [h, w, c], a vector at each place. The rate is the sum over the places as
# well; nothing else changes.

# %%
x = lesson.first_images(spatial, 50)
q = spatial.model.encode(x)
print(
    "shape of a latent:", q.event_shape, "with", int(np.prod(q.event_shape)), "numbers for", int(np.prod(x.shape[1:]))
)
m, s = q.mean(), q.stddev()
by_place = tf.reduce_sum((s**2 + m**2 - 1 - tf.math.log(s**2)) / 2, -1)
np.testing.assert_allclose(tf.reduce_sum(by_place, (1, 2)), lesson.terms(spatial, x).rate, rtol=1e-4, atol=1e-3)
print("nats at each place, mean over images:\n", tf.reduce_mean(by_place, 0).numpy().round(2))

# %% [markdown]
# A large latent reconstructs well and says little of the prior: read the rate beside the distortion. Draws from the
# prior show what the sum hides.

# %%
drawn = spatial.model.decode(spatial.model.latent_prior().sample(8, seed=(0, 3))).mean()
again = spatial.model(x[:8])
figure, axes = plt.subplots(3, 8, figsize=(8, 3))
for row, images in zip(axes, (x[:8], again, drawn), strict=True):
    for axis, image in zip(row, images, strict=True):
        axis.imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
        axis.axis("off")

# %% [markdown]
# ## In MLflow

# %%
lesson.look(runs)
