"""A split's metrics, and the values of each image behind them."""

import math
from typing import Any

import numpy as np

from vae_lab.data.images import Images
from vae_lab.evaluation.aggregate import aggregate_evaluator, spread_rows
from vae_lab.evaluation.latent import active_units
from vae_lab.evaluation.layer_rates import layer_metrics
from vae_lab.evaluation.pareto import FEWEST, HIGH
from vae_lab.randomness import seed_for


def mean_and_error(name: str, values: np.ndarray) -> dict[str, float]:
    """The mean over images, and as name_se its standard error.

    That is the standard deviation, over draws of as many images, of their mean about that of all images there are; the
    means of two such draws differ by sqrt(2) times as much.
    """
    metrics = {name: float(values.mean())}
    if len(values) > 1:
        metrics[f"{name}_se"] = float(values.std(ddof=1)) / math.sqrt(len(values))
    return metrics


def elbo_metrics(split: str, values: dict[str, np.ndarray]) -> dict[str, float]:
    """Means over all images, in nats, named split/quantity."""
    return {f"{split}/{name}": float(values[name].mean()) for name in ("elbo", "rate", "distortion")}


def latent_metrics(
    program: Any,
    split: str,
    images: Images,
    settings: Any,
    rate: np.ndarray,
    fast_log_prob: bool,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """What the rate [N] of a split is made of, on `settings.latent_images` of its images.

    Returns:
      split/index_code_mi and split/aggregate_kl, whose sum is the mean rate of these images, with standard errors over
      the images' draws, all compared with one q(z); none where the posterior has no fast density. And arrays:
      "marginal_kl" [latents], where it is known.
    """
    if not settings.latent_images:
        return {}, {}
    rows = spread_rows(len(images), settings.latent_images)
    evaluator = aggregate_evaluator(program.model, images.shape)
    results = evaluator(images.rows(rows), settings.seed, fast_log_prob)
    metrics: dict[str, float] = {}
    if (information := results.pop("mutual_information", None)) is not None:
        metrics |= mean_and_error(f"{split}/index_code_mi", information)
        metrics |= mean_and_error(f"{split}/aggregate_kl", rate[rows] - information)
    return metrics, results


def weight_metrics(split: str, found: dict[str, np.ndarray], samples: int) -> dict[str, float]:
    """What the K = `samples` importance weights of each image say of its log-likelihood, as means over images.

    split/ess, split/log_likelihood_rise (see `LogLikelihoodEvaluator`), split/pareto_k, of the images whose weights
    have a tail, and split/high_pareto_k, the share of all images whose k is above .7.
    """
    metrics = mean_and_error(f"{split}/ess", found["ess"])
    if samples > 1:
        metrics |= mean_and_error(f"{split}/log_likelihood_rise", found["log_likelihood_rise"])
    if samples >= FEWEST:
        k = found["pareto_k"][~np.isnan(found["pareto_k"])]
        metrics |= mean_and_error(f"{split}/pareto_k", k) if len(k) else {}
        metrics[f"{split}/high_pareto_k"] = float(np.mean(found["pareto_k"] > HIGH))
    return metrics


def evaluate_split(
    program: Any,
    split: str,
    images: Images,
    settings: Any,
    bits_offset: float | None,
    fast_log_prob: bool,
    log_likelihood: bool,
) -> tuple[dict[str, float], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Evaluates a split at the model's present weights.

    Args:
      program: what holds the compiled evaluators.
      split: "train", "val" or "test", for the names.
      images: the split's.
      settings: the configuration's `evaluation`.
      bits_offset: what to add to -log2 p(x) / D so that likelihoods compare; None where bits per dim have no meaning.
      fast_log_prob: whether the posterior gives its density at latents that it did not draw.
      log_likelihood: whether to estimate it, at the cost of `settings.importance_samples` decodings an image.

    Returns:
      Metrics by name; values of each image, float64 [N], by quantity; and values of each latent, float64 [latents].
    """
    values = program.elbo(images, settings.samples, settings.seed)
    posterior_mean = values.pop("posterior_mean").astype(np.float64)
    metrics = elbo_metrics(split, values) | mean_and_error(f"{split}/elbo", values["elbo"])
    unit = program.model.space.variance(posterior_mean.shape[1])
    metrics[f"{split}/active_units"] = active_units(posterior_mean, unit)
    metrics |= layer_metrics(program.model, split, images, settings, posterior_mean)
    more, latents = latent_metrics(program, split, images, settings, values["rate"], fast_log_prob)
    metrics |= more
    latents["variance_of_mean"] = posterior_mean.var(axis=0)
    if log_likelihood:
        found = program.log_likelihood.diagnosed(images, settings.importance_samples, settings.seed)
        metrics |= mean_and_error(f"{split}/log_likelihood", found["log_likelihood"])
        metrics |= weight_metrics(split, found, settings.importance_samples)
        values |= found
        if bits_offset is not None:
            nats_per_dim = -metrics[f"{split}/log_likelihood"] / math.prod(images.shape)
            metrics[f"{split}/bits_per_dim"] = nats_per_dim / math.log(2) + bits_offset
    return metrics, values, latents


def own_metrics(program: Any, split: str, images: Images, seed: int) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """The user's own metrics of a split.

    Args:
      program: whose `metrics` are computed.
      split: "train", "val" or "test", for the names.
      images: the split's, N of them.
      seed: the evaluation's.

    Returns:
      Metrics by name, means with their standard errors where there is a value an image; and those values, float64 [N].

    Raises:
      ValueError: when a metric is neither a number nor a value an image.
    """
    metrics: dict[str, float] = {}
    by_image = {}
    for name, metric in program.metrics.items():
        values = np.asarray(metric(program.model, images, seed_for(seed, name)), np.float64)
        if values.ndim == 0:
            metrics[f"{split}/{name}"] = float(values)
        elif values.shape == (len(images),):
            metrics |= mean_and_error(f"{split}/{name}", values)
            by_image[name] = values
        else:
            raise ValueError(
                f"evaluation.metrics.{name} has shape {values.shape}; it must be a number, or [{len(images)}]"
            )
    return metrics, by_image
