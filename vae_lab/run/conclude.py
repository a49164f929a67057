"""What a run leaves behind beside its weights: metrics, values of each image, pictures."""

import platform
import resource
import time
from typing import Any

from vae_lab.binarization import intensities
from vae_lab.config.checks.facts import bits_offset, fact
from vae_lab.data.dataset import Dataset
from vae_lab.evaluation.gradients import gradient_metrics
from vae_lab.evaluation.metrics import evaluate_split
from vae_lab.evaluation.pictures import named
from vae_lab.evaluation.pictures.final import final_pictures
from vae_lab.evaluation.pictures.frames import epoch_frames
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.evaluation.pictures.views import Views, views_of
from vae_lab.run.program import Pixels, Program
from vae_lab.tracking.tracked_run import TrackedRun

CURVES = [f"{split}/{quantity}" for split in ("running", "val") for quantity in ("elbo", "rate", "distortion")]


def final_metrics(
    cfg: Any, program: Program, pixels: Pixels
) -> tuple[dict[str, float], dict[str, dict], dict[str, dict]]:
    """Metrics at the present weights, of the splits that `cfg.evaluation` says, as far as the data have them.

    Returns:
      Metrics by name; by split the values of each image; by split the values of each latent.
    """
    metrics: dict[str, float] = {}
    images: dict[str, dict] = {}
    latents: dict[str, dict] = {}
    for split in [split for split in cfg.evaluation.splits if split in pixels.fixed]:
        new, images[split], latents[split] = evaluate_split(
            program,
            split,
            *pixels.fixed[split],
            settings=cfg.evaluation,
            bits_offset=bits_offset(cfg),
            fast_log_prob=fact(cfg.posterior, "fast_log_prob"),
            log_likelihood=split in cfg.evaluation.log_likelihood_of,
        )
        metrics |= new
    return metrics, images, latents


def gradients(cfg: Any, program: Program, pixels: Pixels) -> dict[str, float]:
    """The noise of the estimator's gradient at the present weights, on the first batch of training images."""
    images, levels = pixels.fixed["train"]
    x = intensities(images[: cfg.training.batch_size], levels)
    settings = cfg.evaluation
    return gradient_metrics(program.model, program.trainer.estimator, x, settings.gradient_draws, settings.seed)


def views(program: Program, pixels: Pixels) -> Views:
    """The program's compiled functions for pictures."""
    return views_of(program.model, pixels.train.shape[1:])


def log_frames(cfg: Any, program: Program, pixels: Pixels, record: TrackedRun, epoch: int) -> None:
    """Logs the frames of an epoch, where frames are wanted."""
    if cfg.evaluation.images_every:
        frames = epoch_frames(views(program, pixels), *pixels.fixed["test"], seed=cfg.evaluation.seed)
        for key, picture in frames.items():
            record.image(key, picture, epoch)


def log_pictures(cfg: Any, program: Program, dataset: Dataset, pixels: Pixels, record: TrackedRun, epoch: int) -> None:
    """Logs the final pictures of the test split into the folder pictures/."""
    names = named(cfg.evaluation.pictures)
    if not names:
        return
    images, levels = pixels.fixed["test"]
    subject = Subject(
        views=views(program, pixels),
        data=dataset.name,
        split="test",
        epoch=epoch,
        pixels=images,
        levels=levels,
        labels=dataset.test.labels,
        label_names=dataset.label_names,
        seed=cfg.evaluation.seed,
        frames=record.frames("prior_samples"),
        history={key: record.history(key) for key in CURVES},
    )
    for name, content in final_pictures(subject, names):
        record.content(content, f"pictures/{name}")


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in any of its runs, in 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if platform.system() == "Darwin" else peak * 1024 / 1e6


def conclude(
    cfg: Any, program: Program, dataset: Dataset, pixels: Pixels, record: TrackedRun, epoch: int
) -> dict[str, float]:
    """Evaluates the present weights, those of an epoch, and logs all there is to know; returns the final metrics."""
    began = time.perf_counter()
    metrics, images, latents = final_metrics(cfg, program, pixels)
    metrics |= gradients(cfg, program, pixels)
    # A validated epoch has these already, from the same weights and noise.
    logged = [key for key in CURVES if key in metrics and epoch in dict(record.history(key))]
    record.metrics({key: value for key, value in metrics.items() if key not in logged}, epoch)
    for split in images:
        record.arrays(images[split], f"evaluation/{split}.npz")
        record.arrays(latents[split], f"evaluation/{split}_latents.npz")
    seconds = time.perf_counter() - began
    log_pictures(cfg, program, dataset, pixels, record, epoch)
    record.metrics({"perf/evaluation_seconds": seconds, "perf/peak_memory_mb": peak_memory_mb()}, epoch)
    return metrics
