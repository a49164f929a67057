# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The tutorial's older form: fifty latents, and what they are used for
#
# The same networks with fifty latents. The ELBO is far better than with two, and the question is what for: how many of
# the fifty carry anything, and how far the ELBO is from log p(x).

# %%
import lesson
import numpy as np
import tensorflow as tf

runs = lesson.runs("cvae_tutorial_latent50")
run = runs["latent-50"]
model, x = run.model, lesson.first_images(run)

# %% [markdown]
# ## Encode, sample, decode: the ELBO again
#
# The three lines are those of the lesson with two latents.

# %%
q, prior = model.encode(x), model.latent_prior()
z = q.sample(seed=(0, 1))
rate, distortion = q.log_prob(z) - prior.log_prob(z), -model.decode(z).log_prob(x)
elbo = -(rate + distortion)
print(
    f"rate {tf.reduce_mean(rate):.2f} + distortion {tf.reduce_mean(distortion):.2f} = {-tf.reduce_mean(elbo):.2f} nats"
)

# %% [markdown]
# ## A latent at a time
#
# In the short form, after some 360 steps at a small learning rate, hardly one of the fifty has been taken into use.
#
# With a diagonal posterior and N(0, I), the rate is a sum over latents. One whose share is near 0 has its posterior at
# the prior, for every image: it carries nothing. `test/active_units` counts them by the variance of their mean.

# %%
share = tf.reduce_mean((q.variance() + q.mean() ** 2 - 1 - tf.math.log(q.variance())) / 2, 0).numpy()
closed = tf.reduce_sum((q.variance() + q.mean() ** 2 - 1 - tf.math.log(q.variance())) / 2, -1)
np.testing.assert_allclose(share.sum(), tf.reduce_mean(closed), rtol=1e-4)
print("the largest shares, nats:", np.sort(share)[::-1][:10].round(2))

everything = lesson.first_images(run, count=len(run.images.fixed["test"]))
means = np.concatenate([model.encode(everything[i : i + 500]).mean() for i in range(0, len(everything), 500)])
active = int((means.var(axis=0, ddof=1) > 0.01).sum())
print(f"active: {active} of {len(share)}, and the harness says {run.record.metrics['test/active_units']:.0f}")

# %% [markdown]
# ## How far from log p(x)?
#
# With K samples, log of the mean of p(x, z) / q(z|x) is a bound that rises to log p(x) with K, and is the ELBO at K =
# 1.

# %%
few = x[:20]
q = model.encode(few)
draws = q.sample(500, seed=(0, 2))
log_weight = model.decode(draws).log_prob(few) + prior.log_prob(draws) - q.log_prob(draws)
bounds = {}
for k in (1, 5, 50, 500):
    groups = tf.reshape(log_weight, (500 // k, k, -1))
    bounds[k] = float(tf.reduce_mean(tf.reduce_logsumexp(groups, 1) - np.log(k)))
    print(f"K = {k:3}: {bounds[k]:.3f}")
assert bounds[1] <= bounds[5] <= bounds[50] <= bounds[500]

# %% [markdown]
# The rise is what the posterior's family and the encoder lose. `test/log_likelihood` is the same estimate over all test
# images, with K = `evaluation.importance_samples`.

# %% [markdown]
# ## In MLflow
#
# `vae-lab evaluate run=RUN_ID evaluation.importance_samples=5000` computes a tighter estimate from the kept weights, as
# a run of its own, without training.

# %%
lesson.look(runs)
