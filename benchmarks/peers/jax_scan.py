"""JAX, with the whole epoch in one scan that is compiled once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.specification import ADAM, SCALE_FLOOR, Means, Spec, initial_weights


def build(spec: Spec, pixels: np.ndarray):
    """See `benchmarks.peers`."""
    images = jax.device_put(pixels)
    params = jax.tree.map(jnp.array, initial_weights(spec))
    first, second = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
    state = (params, first, second, jnp.zeros((), jnp.float32))
    key = jax.random.key(0)
    gradient = jax.grad(partial(_loss, spec), has_aux=True)

    def step(images, state, inputs):
        rows, key = inputs
        params, first, second, count = state
        coins, noise = jax.random.split(key)
        grey = images[rows].astype(jnp.float32) / (spec.levels - 1)
        x = (jax.random.uniform(coins, grey.shape) < grey).astype(jnp.float32)
        gradients, means = gradient(params, x, noise)
        return _adam(params, first, second, count + 1, gradients), means

    @partial(jax.jit, donate_argnums=0)
    def train_epoch(state, images, key):
        shuffling, drawing = jax.random.split(key)
        order = jax.random.permutation(shuffling, len(pixels)).reshape(-1, spec.batch_size)
        state, means = lax.scan(partial(step, images), state, (order, jax.random.split(drawing, len(order))))
        return state, means.mean(axis=0)

    def train(epochs):
        nonlocal state, key
        for _ in range(epochs):
            key, use = jax.random.split(key)
            state, means = train_epoch(state, images, use)
        return Means(*map(float, jax.block_until_ready(means)))

    return train


def _network(layers, weights, x):
    for layer, (kernel, bias) in zip(layers, weights, strict=True):
        x = x.reshape(-1, *layer.inputs)
        convolve = partial(_convolve, kernel=kernel, stride=layer.stride, padding=layer.padding)
        if layer.kind == "dense":
            x = x @ kernel
        elif layer.kind == "conv":
            x = convolve(x)
        else:
            (x,) = jax.linear_transpose(convolve, jax.ShapeDtypeStruct((len(x), *layer.outputs), x.dtype))(x)
        x = jax.nn.relu(x + bias) if layer.relu else x + bias
    return x


def _convolve(x, kernel, stride, padding):
    """A convolution as one product with all patches: XLA's own one is a plain loop on a CPU, a hundred times slower."""
    pads, places = [(0, 0)], []
    for size, width in zip(x.shape[1:3], kernel.shape[:2], strict=True):
        places.append(-(-size // stride) if padding == "same" else (size - width) // stride + 1)
        missing = max((places[-1] - 1) * stride + width - size, 0)
        pads.append((missing // 2, missing - missing // 2))
    x = jnp.pad(x, [*pads, (0, 0)])
    ends = [(count - 1) * stride + 1 for count in places]
    patches = [x[:, i : i + ends[0] : stride, j : j + ends[1] : stride] for i, j in np.ndindex(*kernel.shape[:2])]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def _loss(spec, params, x, key):
    cut = len(spec.encoder)
    loc, raw_scale = jnp.split(_network(spec.encoder, params[:cut], x), 2, axis=-1)
    scale = SCALE_FLOOR + jax.nn.softplus(raw_scale)
    z = loc + scale * jax.random.normal(key, loc.shape)
    logits = _network(spec.decoder, params[cut:], z).reshape(x.shape)
    rate = 0.5 * (loc**2 + scale**2 - 1 - 2 * jnp.log(scale)).sum(axis=-1).mean()
    distortion = (jax.nn.softplus(logits) - x * logits).sum(axis=(1, 2, 3)).mean()
    return rate + distortion, jnp.stack([-(rate + distortion), rate, distortion])


def _adam(params, first, second, count, gradients):
    rate, keep_1, keep_2, epsilon = ADAM["learning_rate"], ADAM["beta_1"], ADAM["beta_2"], ADAM["epsilon"]
    size = rate * jnp.sqrt(1 - keep_2**count) / (1 - keep_1**count)
    first = jax.tree.map(lambda m, g: keep_1 * m + (1 - keep_1) * g, first, gradients)
    second = jax.tree.map(lambda v, g: keep_2 * v + (1 - keep_2) * g * g, second, gradients)
    params = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) + epsilon), params, first, second)
    return params, first, second, count
