"""The metrics of a run: those of every split at its selected weights."""

from typing import Any

from vae_lab.binarization import intensities
from vae_lab.config.settings import Settings
from vae_lab.data.images import RunImages
from vae_lab.errors import UsageError
from vae_lab.evaluation.gaps import gap_metrics
from vae_lab.evaluation.gradients import gradient_metrics
from vae_lab.evaluation.metrics import elbo_metrics, evaluate_split, own_metrics


def final_metrics(
    program: Any, images: RunImages, settings: Settings, found: dict[str, dict] | None = None
) -> tuple[dict[str, float], dict[str, dict], dict[str, dict]]:
    """Metrics at the present weights, of the splits that `evaluation.splits` names, as far as the data have them.

    The ELBO of the validation images is always among them: runs are selected and searched by it.

    Args:
      program: the model, and what evaluates it.
      images: the run's.
      settings: the run's.
      found: values that take long, as far as an evaluation of the same weights that was cut off has found them; new
        ones are put there.

    Returns:
      Metrics by name; by split the values of each image; by split the values of each latent.
    """
    metrics: dict[str, float] = {}
    by_image: dict[str, dict] = {}
    by_latent: dict[str, dict] = {}
    wanted = settings.evaluation
    for split in [split for split in wanted.splits if split in images.fixed]:
        new, by_image[split], by_latent[split] = evaluate_split(
            program,
            split,
            images.fixed[split],
            settings=wanted,
            bits_offset=settings.bits_offset,
            fast_log_prob=settings.fast_log_prob,
            log_likelihood=split in wanted.log_likelihood_of,
        )
        metrics |= new
        own, values = own_metrics(program, split, images.fixed[split], wanted.seed)
        if twice := (own.keys() & metrics.keys()) | (values.keys() & by_image[split].keys()):
            raise UsageError(f"evaluation.metrics: {', '.join(sorted(twice))} is a name of ours; choose another")
        metrics |= own
        by_image[split] |= values
    new, of_rows = gap_metrics(program.model, "test", images.fixed["test"], wanted, {} if found is None else found)
    metrics |= new
    by_image["test"] |= of_rows
    if "val" in images.fixed and "val" not in by_image:
        metrics |= elbo_metrics("val", program.elbo(images.fixed["val"], wanted.samples, wanted.seed))
    return metrics, by_image, by_latent


def final_gradients(program: Any, images: RunImages, settings: Settings) -> dict[str, float]:
    """The noise of the estimator's gradient at the present weights, on the first batch of training images."""
    first, wanted = images.fixed["train"].rows(slice(settings.training.batch_size)), settings.evaluation
    x = intensities(first.pixels, first.levels)
    return gradient_metrics(program.model, program.trainer.estimator, x, wanted.gradient_draws, wanted.seed)
