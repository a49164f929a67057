"""One latent at a time."""

import numpy as np

from vae_lab.evaluation.pictures.sheet import sheet, titled
from vae_lab.evaluation.pictures.subject import Subject

LATENTS = 10
STEPS = np.linspace(-3.0, 3.0, 11)  # standard deviations


def traversal_latents(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """The most active latents, as flat indices [l]; and z [l, steps, *latent] that move one of them each.

    All others stay at the posterior mean of the split's first image. The moved one goes over mean + step * standard
    deviation of the aggregate posterior, by draws: a range that any prior has in common with the data. On the sphere
    the others give way in proportion, and the range ends at the poles.
    """
    means = subject.encoded[0].reshape(len(subject.rows), -1)
    draws = subject.encoded[1].reshape(-1, means.shape[1])
    chosen = subject.by_activity[:LATENTS]
    model = subject.views.model
    z = np.empty((len(chosen), len(STEPS), means.shape[1]), means.dtype)
    for row, latent in enumerate(chosen):
        values = draws[:, latent].mean() + STEPS * draws[:, latent].std()
        z[row] = [model.space.moved(means[0], latent, value) for value in values]
    return chosen, z.reshape(*z.shape[:2], *model.latent_shape)


def traversal_states(subject: Subject, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of discrete latents: the first flat index [g] of the most active groups, and z [g, n, *latent] in each state.

    A group, a bit or the one-hot entries that belong together, takes all of its `states` [n, w]; the others stay at the
    posterior's mode of the split's first image. A group's activity is the sum of its latents'.
    """
    states_count, width = states.shape
    means = subject.encoded[0].reshape(len(subject.rows), -1)
    activity = means.var(axis=0).reshape(-1, width).sum(axis=1)
    mode = np.asarray(subject.views.model.space.nearest(means[0]))
    chosen = width * np.argsort(-activity, kind="stable")[:LATENTS]
    z = np.tile(mode, (len(chosen), states_count, 1))
    for row, first in enumerate(chosen):
        z[row, :, first : first + width] = states
    return chosen, z.reshape(*z.shape[:2], *subject.views.model.latent_shape)


def state_name(state: np.ndarray) -> str:
    """A bit's value, or the number of a one-hot group's category."""
    return str(int(state[0] if len(state) == 1 else state.argmax()))


def traversals(subject: Subject) -> np.ndarray:
    """The decoder's means while one latent moves, a row a latent, the most active first; a discrete one is stepped."""
    states = subject.views.model.space.states
    if states is None:
        chosen, z = traversal_latents(subject)
        columns, axis = [f"{step:+.1f}" for step in STEPS], "standard deviations of q(z) from its mean"
    else:
        chosen, z = traversal_states(subject, states)
        columns, axis = [state_name(state) for state in states], "value" if states.shape[1] == 1 else "category"
    decoded = subject.decoded(z.reshape(-1, *z.shape[2:]))
    return titled(
        sheet(list(decoded.reshape(*z.shape[:2], *decoded.shape[1:]))),
        subject.title("Latent traversals"),
        rows=[subject.latent_name(latent) for latent in chosen],
        columns=columns,
        axis=f"{axis}; the other latents as in the first image",
    )
