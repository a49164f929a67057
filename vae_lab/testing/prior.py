"""What is asked of a prior."""

from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.config import compose, parts
from vae_lab.config.options import read_option
from vae_lab.errors import UsageError
from vae_lab.testing.densities import check_density, points_of
from vae_lab.testing.trial import SEED, SMALL, Trial, loops, make_option, modes, normal_draws, scrambled
from vae_lab.testing.weights import check_saved, check_weights

IMAGE_SHAPE = (2, 2, 1)
IMAGES = np.random.default_rng(4).uniform(size=(5, *IMAGE_SHAPE)).astype(np.float32)
LATENTS = 3


class Encoder:
    """A map from images [B,2,2,1] to q(z|x) over latents of a shape in all, with a weight of its own."""

    def __init__(self, latent_shape: tuple[int, ...] = (LATENTS,), posterior: str = "mvn_diag") -> None:
        option = compose.plain(read_option("posterior", posterior))
        self.grid = latent_shape[:-1]
        small = {key: value for key, value in SMALL.items() if key in option}
        self.posterior = make_option({**option, **small}, latent_size=latent_shape[-1] - sum(small.get("upper", ())))
        self.kernel = normal_draws((4, int(np.prod(self.grid)) * self.posterior.params_size), seed=1)

    def __call__(self, x: Any) -> Any:
        features = tf.reshape(x, (-1, 4)) @ self.kernel
        return self.posterior.distribution(tf.reshape(features, (-1, *self.grid, self.posterior.params_size)))


def encoder_for(trial: Trial, latent_shape: tuple[int, ...] = (LATENTS,)) -> Encoder:
    """Posteriors that the prior on trial can be made of: in layers, if it needs the top one."""
    return Encoder(latent_shape, "ladder" if trial.fact("needs_top_given_image") else "mvn_diag")


def prior(trial: Trial, latent_shape: tuple[int, ...] = (LATENTS,)) -> Any:
    """The prior on trial."""
    offered = parts.extra_arguments(trial.option, image_shape=IMAGE_SHAPE, train_images=IMAGES)
    return trial.make(latent_shape=latent_shape, **offered)


def support_of(trial: Trial) -> tuple[str, int]:
    """The space that is stated, layers being of R^L too, and how many latents make a category."""
    stated = trial.fact("support", "reals")
    return "reals" if stated == "layers" else stated, int(trial.option.get("categories") or 1)


def points(trial: Trial, *shape: int) -> Any:
    """Latents of its space."""
    support, categories = support_of(trial)
    return points_of(support, shape, categories)


def shapes(trial: Trial) -> None:
    """It gives a distribution without a batch, whose event is the latent."""
    p = prior(trial).distribution(encoder_for(trial))
    for what, found, expected in (
        ("batch shape", p.batch_shape_tensor(), ()),
        ("event shape", p.event_shape_tensor(), (LATENTS,)),
        ("the shape of 7 samples", p.sample(7, seed=SEED).shape, (7, LATENTS)),
        ("the shape of log_prob of [5, 4] latents", p.log_prob(points(trial, 5, 4, LATENTS)).shape, (5, 4)),
    ):
        found = tuple(map(int, found))
        trial.require(found == expected, f"{what} is {found}, not {expected}")


def flat_latent(trial: Trial) -> None:
    """It takes latents on a grid, or states flat_latent and refuses them."""
    grid = (2, 5, LATENTS)
    if trial.fact("flat_latent"):
        try:
            prior(trial, grid)
        except UsageError as error:
            told = f"{trial.called} needs a flat latent"
            trial.require(told in str(error), f"it must refuse a grid of latents with {told!r}")
            return
        trial.require(False, "its YAML states flat_latent, and it takes a grid of latents (layers.flat_latent)")
    p = prior(trial, grid).distribution(encoder_for(trial, grid))
    trial.require(
        (tuple(p.batch_shape_tensor()), tuple(p.event_shape_tensor())) == ((), grid)
        and p.log_prob(p.sample(4, seed=SEED)).shape == (4,),
        f"of latents on a grid {grid} it gives event shape {tuple(p.event_shape)}; or state flat_latent: true",
    )


def least_latents(trial: Trial) -> None:
    """Of fewer latents than it states it says so."""
    least = trial.fact("least_latents", 1)
    if least == 1:
        return
    try:
        prior(trial, (least - 1,))
    except UsageError:
        return
    trial.require(False, f"its YAML states least_latents: {least}, and it takes {least - 1}")


def weights(trial: Trial) -> None:
    """Every weight gets a gradient, and the posterior's as well where it is made of posteriors."""
    encoder, z = encoder_for(trial), points(trial, 6, LATENTS)
    others = encoder.posterior.weights
    check_weights(trial, prior(trial), lambda part: part.distribution(encoder).log_prob(z), others)
    with tf.GradientTape() as tape:
        tape.watch(encoder.kernel)
        log_p = prior(trial).distribution(encoder).log_prob(z)
    used = tape.gradient(log_p, encoder.kernel) is not None
    trial.require(
        used == (trial.fact("support") == "posterior" or bool(trial.fact("needs_top_given_image"))),
        f"its density {'depends' if used else 'does not depend'} on posterior_of, and a prior that is made of "
        "posteriors, and no other, states support: posterior, or needs_top_given_image",
    )


def follows_its_weights(trial: Trial) -> None:
    """What was computed at old weights is not taken for the same z at new ones."""
    part, encoder, z = prior(trial), encoder_for(trial), points(trial, 6, LATENTS)
    before = part.distribution(encoder).log_prob(z).numpy()
    scrambled(part, 0.3)
    after = part.distribution(encoder).log_prob(z).numpy()
    trial.require(
        np.array_equal(after, part.distribution(encoder).log_prob(tf.identity(z))),
        "log_prob of the same latents differs from call to call",
    )
    trial.require(
        np.all(before != after) == bool(part.weights),
        "log_prob does not follow its weights; make the distribution anew in distribution()",
    )


def modes_agree(trial: Trial) -> None:
    """Eagerly, as a graph and under XLA it gives the same log_prob, and draws that are finite."""
    part, encoder, z = scrambled(prior(trial)), encoder_for(trial), points(trial, 5, 4, LATENTS)

    def numbers(z: Any) -> Any:
        p = part.distribution(encoder)
        with tf.GradientTape() as tape:
            tape.watch(z)
            log_p = p.log_prob(z)
        return log_p, tape.gradient(log_p, z, unconnected_gradients="zero"), p.sample(7, seed=SEED)

    expected = part.distribution(encoder).log_prob(z)
    for how, function in modes(numbers).items():
        log_p, gradient, sample = function(z)
        trial.agree(log_p, expected, f"log_prob {how} is another one")
        trial.require(gradient.shape == z.shape, f"the gradient of log_prob {how} has shape {gradient.shape}")
        trial.require(sample.shape == (7, LATENTS) and np.all(np.isfinite(sample)), f"samples {how} are not finite")


def far_latents(trial: Trial) -> None:
    """Latents of a hundred give finite numbers and gradients."""
    part, encoder = prior(trial, (6,)), encoder_for(trial, (6,))
    z = tf.constant(np.random.default_rng(0).choice([-100.0, 100.0], (8, 6)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        log_p = part.distribution(encoder).log_prob(z)
    gradients = tape.gradient(log_p, [z, *part.trainable_variables], unconnected_gradients="zero")
    for what, number in zip(("log_prob", "its gradient"), (log_p, gradients), strict=True):
        for one in number if isinstance(number, list) else [number]:
            trial.require(np.all(np.isfinite(one)), f"{what} at latents of -100 and 100 is not finite")


def density(trial: Trial) -> None:
    """Samples lie in the stated space and agree with log_prob."""
    support, categories = support_of(trial)
    shape = (2,) if support in ("reals", "posterior") else (LATENTS,)
    p = prior(trial, shape).distribution(encoder_for(trial, shape))
    check_density(trial, p, support, categories)


def needs_fast_log_prob(trial: Trial) -> None:
    """It asks for the posterior's density at latents from elsewhere if its YAML says so, and else not."""
    z = points(trial, 5, LATENTS)

    def slow(posterior: str) -> bool:
        part, encoder = prior(trial), Encoder(posterior=posterior)
        return loops(lambda z: part.distribution(encoder).log_prob(z), z)

    asked = not trial.fact("needs_top_given_image") and slow("iaf") and not slow("mvn_diag")
    trial.require(
        asked == bool(trial.fact("needs_fast_log_prob")),
        f"{trial.states('needs_fast_log_prob')}, and it {'asks' if asked else 'does not ask'} for the posterior's "
        "density at latents that it did not draw",
    )


def needs_top_given_image(trial: Trial) -> None:
    """In layers, it asks for the posterior's top one by itself if its YAML says so, and else not."""
    asked = False
    if trial.fact("support") == "layers":
        try:
            prior(trial).distribution(Encoder(posterior="bottom_up"))
        except NotImplementedError:
            asked = True
    trial.require(
        asked == bool(trial.fact("needs_top_given_image")),
        f"{trial.states('needs_top_given_image')}, and it {'asks' if asked else 'does not ask'} for the posterior's "
        "top layer by itself",
    )


def saved(trial: Trial) -> None:
    """Its weights can be saved and loaded."""
    encoder, z = encoder_for(trial), points(trial, 6, LATENTS)
    check_saved(trial, scrambled(prior(trial), 0.3), prior(trial), lambda part: part.distribution(encoder).log_prob(z))


CHECKS = (
    shapes,
    weights,
    follows_its_weights,
    density,
    flat_latent,
    least_latents,
    needs_fast_log_prob,
    needs_top_given_image,
    modes_agree,
    far_latents,
    saved,
)
