"""Every role, once: what goes in, what comes out. Read this first.

Shapes: S samples lead, B batch, L latents, H W C image, P = `likelihood.params_size` numbers a channel. `latent`
stands for the latent's event shape: [L], or [h, w, c] when the encoder keeps the grid. Log-probabilities are in
nats per image.

    x [B,H,W,C] --encoder--> features --posterior--> q(z|x) --sample--> z [S,B,latent]
                                                                            |
        log p(x|z) [S,B] <--likelihood-- parameters [S,B,H,W,C*P] <--decoder+

Networks return tensors, the other parts return TensorFlow Probability distributions, and the parts never import
each other: `vae_lab.model.VAE` joins them. Every part is a `keras.layers.Layer`; a part with weights of its own makes
them by `add_weight` and builds its distribution anew on each call, or its weights would get no gradient. Initial
weights come from Keras's initializers, which are seeded for each part while it is made and built: nothing else is.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

# TensorFlow and TensorFlow Probability carry no type annotations.
Tensor = Any
Distribution = Any


class Terms(NamedTuple):
    """What an estimator says of a batch. Each entry is [B], in nats per image."""

    loss: Tensor  # what training differentiates; beta and gradient tricks act here and nowhere else
    rate: Tensor  # KL(q(z|x), p(z)), in closed form or by samples
    distortion: Tensor  # -E_q log p(x|z)
    elbo: Tensor  # -(rate + distortion), always
    bound: Tensor  # the estimator's own lower bound on log p(x); the ELBO unless it says otherwise


@runtime_checkable
class Encoder(Protocol):
    """A network from images to features.

    Made with `output_size`, the width of its last axis.
    """

    def __call__(self, x: Tensor) -> Tensor:
        """x [B,H,W,C] -> features [B, output_size], or [B,h,w,output_size] for a spatial latent."""


@runtime_checkable
class Posterior(Protocol):
    """q(z|x), the approximate posterior. Made with `latent_size`, the length of z's last axis.

    One over another space than R^L says so by `space` (`vae_lab.layers.spaces`): the unit sphere, or discrete states.
    Where it has an attribute `generative`, the model puts the prior's `given` there: the networks between layers of
    latents that both share (`vae_lab.prior.hierarchical`).
    Where its YAML states the fact `top_given_image`, its distribution's `top()` is that of the last layer by itself.
    Where its YAML states the fact `relaxed`, `relaxed_distribution(features, temperature)` gives a distribution of
    differentiable draws of the same shape, whose nearest states are draws from q(z|x), and which are near to them at a
    low temperature.
    """

    params_size: int  # how many features a latent vector takes

    def distribution(self, features: Tensor, stop_gradient: bool = False) -> Distribution:
        """features [B,(h,w,)params_size] -> distribution with batch [B] and event `latent`.

        With `stop_gradient` the distribution's parameters are constants to differentiation, so that its `log_prob`
        passes gradient to z alone.
        """


@runtime_checkable
class Prior(Protocol):
    """p(z). Made with `latent_shape`."""

    def distribution(self, posterior_of: Any) -> Distribution:
        """posterior_of, the model's map from x to q(z|x) -> distribution with batch [] and event `latent`."""


@runtime_checkable
class Decoder(Protocol):
    """A network from latents to the likelihood's parameters.

    Made with `latent_shape`, `output_shape` [H,W,C*P] and `output_bias`, an array that broadcasts to `output_shape`
    or None: what the network starts from before its input counts.
    """

    bias_per_pixel: bool  # whether the output bias has an entry a pixel, or one a channel

    def __call__(self, z: Tensor) -> Tensor:
        """z [N,latent] -> parameters [N,H,W,C*P]. The model folds any leading axes of z into N."""


@runtime_checkable
class Likelihood(Protocol):
    """p(x|z), by the decoder's parameters. Made without arguments beyond its own options."""

    params_size: int  # P, the numbers that describe one channel of a pixel

    def distribution(self, parameters: Tensor) -> Distribution:
        """parameters [...,H,W,C*P] -> distribution with batch [...] and event [H,W,C].

        The order of the C*P numbers is the likelihood's own.
        """

    def initial_parameters(self, mean: Any) -> Any:
        """mean [...,C], a training mean in [0, 1] -> parameters [...,C*P] that have it, or None."""


@runtime_checkable
class Model(Protocol):
    """The five parts, joined: what estimators and evaluations see of them."""

    space: Any  # that latents lie in, one of `vae_lab.layers.spaces`

    def features(self, x: Tensor) -> Tensor:
        """x [B,H,W,C] -> what the posterior is made of, [B,(h,w,)params_size]."""

    def encode(self, x: Tensor, stop_gradient: bool = False) -> Distribution:
        """x [B,H,W,C] -> q(z|x), batch [B], event `latent`."""

    def latent_prior(self) -> Distribution:
        """Returns p(z), batch [], event `latent`."""

    def likelihood_parameters(self, z: Tensor) -> Tensor:
        """z [...,latent] -> what the likelihood is made of, [...,H,W,C*P]."""

    def decode(self, z: Tensor) -> Distribution:
        """z [...,latent] -> p(x|z), batch [...], event [H,W,C]."""

    def conditional_log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """parameters [...,B,H,W,C*P] of the likelihood, x [B,H,W,C] -> log p(x|z) [...,B]."""


@runtime_checkable
class Metric(Protocol):
    """A number of one's own, named by `evaluation.metrics`: what a trained model is worth on a split.

    The same for the same weights, images and seed, and computed without changing the weights. Its settings and its
    code count in the identity of the evaluation: an edited one is evaluated anew, and nothing is trained for it.
    """

    def __call__(self, model: Model, images: Any, seed: Tensor) -> Any:
        """model, N images (`vae_lab.data.images.Images`), stateless seed [2] -> [N], a value an image, or a number.

        `vae_lab.binarization.intensities(images.pixels, images.levels)` is x [N,H,W,C].
        """


@runtime_checkable
class Picture(Protocol):
    """A picture of one's own, named by `evaluation.own_pictures`. It counts in no identity."""

    def __call__(self, subject: Any) -> Any:
        """subject (`vae_lab.evaluation.pictures.subject.Subject`) -> what is drawn.

        uint8 [height,width,3], a figure of matplotlib, the bytes of a GIF, or the text of a page; None where the
        picture has no meaning for the model.
        """


@runtime_checkable
class Callback(Protocol):
    """Called at the end of each epoch, named by `training.callbacks`.

    It keeps nothing from one call to the next, and does the same at the same weights, epoch and metrics: a run that
    was cut off is taken up from a checkpoint, and calls it anew for the epochs since. Under this promise it may change
    the weights, which every checkpoint after it holds; `select: best` keeps the weights that were validated, from
    before the call. Its settings and its code count in the identity of training.
    """

    def __call__(self, model: Model, epoch: int, metrics: dict[str, float]) -> dict[str, float] | None:
        """model, epochs trained so far, the epoch's metrics -> more of them, logged as CALLBACK/NAME, or None."""


@runtime_checkable
class Estimator(Protocol):
    """The objective: a stochastic estimate of a bound on log p(x), and how its gradient is taken."""

    samples: int  # K, draws of z an image in a group
    groups: int  # M, groups that are averaged

    def __call__(self, model: Model, x: Tensor, seed: Tensor, epoch: Tensor | None = None) -> Terms:
        """model, x [B,H,W,C], stateless seed [2], epochs trained so far (None: all warm-up is over) -> terms."""
