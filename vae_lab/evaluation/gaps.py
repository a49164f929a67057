"""Where the gap between log p(x) and the ELBO of an image comes from: the family of q, or the encoder."""

import logging
from typing import Any

import numpy as np
import tensorflow as tf

from vae_lab.binarization import intensities
from vae_lab.data.images import Images
from vae_lab.evaluation.aggregate import spread_rows
from vae_lab.evaluation.annealed import AnnealedSampler
from vae_lab.evaluation.local_posterior import LocalPosterior, flow, full_covariance
from vae_lab.evaluation.metrics import mean_and_error
from vae_lab.randomness import seed_for

log = logging.getLogger("vae_lab")

CHUNK = 25  # images at once: this bounds the memory, and what a run that is killed has to find again
ADAPTING = 4  # so many times fewer chains adapt the step sizes
Found = dict[str, dict[str, np.ndarray]]
FAMILIES = {"full_covariance": full_covariance, "flow": flow}


class GapEvaluator:
    """Evaluates log p(x), L[q*] and L[q] of images at fixed weights.

    L[q] is the ELBO of the encoder's q, L[q*] the best that the posterior's family allows for the image alone.

    Args:
      model: the VAE, over R^L with reparameterized draws.
      image_shape: [H,W,C].
      settings: the configuration's `evaluation.gaps`.
      seed: the evaluation's seed.

    References: Cremer, Li, Duvenaud, "Inference Suboptimality in Variational Autoencoders", 2018.
    """

    def __init__(self, model: Any, image_shape: tuple[int, ...], settings: Any, seed: int):
        self.model, self.settings, self.seed = model, settings, seed
        self.sampler = AnnealedSampler(model, image_shape, settings.annealing_steps, settings.leapfrog_steps)
        self.local: dict[str, LocalPosterior] = {}
        self._features = tf.function(model.features, reduce_retracing=True)

    def _local(self, family: str, posterior: Any) -> LocalPosterior:
        wanted = self.settings
        made = LocalPosterior(self.model, posterior, wanted.optimization_steps, wanted.learning_rate)
        return self.local.setdefault(family, made)  # whose functions are traced once for all chunks

    def _annealed(self, x, chunk: int) -> tuple[np.ndarray, Any]:
        """log p(x) [B] and the step sizes."""
        chains = self.settings.chains
        sizes = self.sampler.adapted(x, max(1, chains // ADAPTING), self.seed, chunk)
        return self.sampler.forward(x, chains, sizes, self.seed, chunk), sizes

    def chunk(self, x, number: int) -> dict[str, np.ndarray]:
        """Images [B,H,W,C] -> float64 [B] by quantity, in nats; see `gap_metrics`."""
        wanted, features = self.settings, self._features(x)
        own = self._local("own", self.model.posterior)
        amortized = own.bound(features, x, wanted.samples, self.seed, number)
        best = own.bound(own.optimized(features, x, self.seed, number), x, wanted.samples, self.seed, number)
        annealed, _ = self._annealed(x, number)
        found = {
            "ais_log_likelihood": annealed,
            "optimal_elbo": best,
            "amortized_elbo": amortized,
            "approximation_gap": annealed - best,
            "amortization_gap": best - amortized,
        }
        for family in wanted.families:
            made, start = FAMILIES[family](self.model.posterior.distribution(features), seed_for(self.seed, "family"))
            local = self._local(family, made)
            start = local.optimized(start, x, self.seed, number)
            found[f"{family}_elbo"] = local.bound(start, x, wanted.samples, self.seed, number)
            found[f"{family}_gap"] = annealed - found[f"{family}_elbo"]
        return found

    def both_ways(self, images: int) -> np.ndarray:
        """Upper minus lower bound on log p(x) of so many images that the model makes itself, float64 [N], in nats."""
        found = []
        for number, first in enumerate(range(0, images, CHUNK)):
            rows = min(CHUNK, images - first)
            z = self.model.latent_prior().sample(rows, seed=seed_for(self.seed, "simulated latents", number))
            x = self.model.decode(z).sample(seed=seed_for(self.seed, "simulated images", number))
            chunk = 1_000_000 + number  # noise of its own
            below, sizes = self._annealed(x, chunk)
            found.append(self.sampler.backward(x, z, self.settings.chains, sizes, self.seed, chunk) - below)
        return np.concatenate(found)


def gap_values(
    model: Any, images: Images, settings: Any, seed: int, found: Found
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Evaluates the gaps of `settings.images` images, evenly over the split.

    Args:
      model: the VAE.
      images: the split's.
      settings: the configuration's `evaluation.gaps`.
      seed: the evaluation's seed.
      found: what is there already, by chunk; new chunks are put there.

    Returns:
      Values of each, float64 by quantity, with "gap_rows", which they are; and where `settings.simulated` images are
      wanted, the gap [N] between the bounds of bidirectional Monte Carlo on them.
    """
    rows = spread_rows(len(images), settings.images)
    evaluator, chunks = GapEvaluator(model, images.shape, settings, seed), []
    for number, first in enumerate(range(0, len(rows), CHUNK)):
        some, name = images.rows(rows[first : first + CHUNK]), f"gaps_{number}"
        if name not in found:
            found[name] = evaluator.chunk(intensities(some.pixels, some.levels), number)
            log.info("inference gaps: %d of %d images", first + len(some), len(rows))
        chunks.append(found[name])
    values = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    both = evaluator.both_ways(settings.simulated) if settings.simulated else None
    return values | {"gap_rows": rows.astype(np.float64)}, both


def gap_metrics(
    model: Any, split: str, images: Images, settings: Any, found: Found
) -> tuple[dict[str, float], dict[str, Any]]:
    """The inference gaps of `settings.gaps.images` images of a split: means with standard errors over them; none for 0.

    split/ais_log_likelihood, and what it is above the best bound of the posterior's own family, split/optimal_elbo:
    split/approximation_gap; what that is above the encoder's bound on these images, split/amortized_elbo:
    split/amortization_gap. Of each richer family split/family_elbo and split/family_gap. And split/bidirectional_gap,
    the upper minus the lower bound on log p(x) of images of the model's own.

    Returns:
      Metrics by name; and the values of each of these images, float64, with "gap_rows", which they are.
    """
    if not settings.gaps.images:
        return {}, {}
    values, both_ways = gap_values(model, images, settings.gaps, settings.seed, found)
    metrics: dict[str, float] = {}
    for name, of_images in values.items():
        metrics |= mean_and_error(f"{split}/{name}", of_images) if name != "gap_rows" else {}
    return metrics | (mean_and_error(f"{split}/bidirectional_gap", both_ways) if both_ways is not None else {}), values
