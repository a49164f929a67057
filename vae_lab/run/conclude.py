"""What a run leaves behind beside its weights: metrics, values of each image, pictures."""

import platform
import resource
import time

from vae_lab.evaluation.final import final_gradients, final_metrics
from vae_lab.evaluation.pictures import named
from vae_lab.evaluation.pictures.frames import epoch_frames
from vae_lab.evaluation.pictures.gallery import final_pictures
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.evaluation.pictures.views import Views, views_of
from vae_lab.run.run import Run
from vae_lab.tracking.kept import FoundValues

CURVES = [f"{split}/{quantity}" for split in ("running", "val") for quantity in ("elbo", "rate", "distortion")]


def views(run: Run) -> Views:
    """The compiled functions for pictures."""
    return views_of(run.model, run.images.shape)


def log_frames(run: Run, epoch: int) -> None:
    """Logs the frames of an epoch, where frames are wanted."""
    if run.settings.evaluation.images_every:
        frames = epoch_frames(views(run), run.images.fixed["test"], seed=run.settings.evaluation.seed)
        for key, picture in frames.items():
            run.record.image(key, picture, epoch)


def log_pictures(run: Run, epoch: int) -> None:
    """Logs the final pictures of the test split into the folder pictures/."""
    names = named(run.settings.evaluation.pictures)
    own = run.program.pictures
    if not names and not own:
        return
    subject = Subject(
        views=views(run),
        data=run.images.name,
        split="test",
        epoch=epoch,
        images=run.images.fixed["test"],
        labels=run.images.labels["test"],
        label_names=run.images.label_names,
        seed=run.settings.evaluation.seed,
        frames=run.record.frames("prior_samples"),
        history={key: run.record.history(key) for key in CURVES},
    )
    for name, content in final_pictures(subject, names, own):
        run.record.content(content, f"pictures/{name}")


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in any of its runs, in 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if platform.system() == "Darwin" else peak * 1024 / 1e6


def conclude(run: Run, selected: int, trained: int) -> dict[str, float]:
    """Evaluates the present weights, and logs all there is to know; returns the final metrics.

    Args:
      run: at its selected weights.
      selected: the epoch that these are of.
      trained: the last epoch. A validated metric of another one is logged behind it once more, for the selected
        weights: the newest value of every metric is the run's own.
    """
    began = time.perf_counter()
    metrics, by_image, by_latent = final_metrics(
        run.program, run.images, run.settings, FoundValues(run.checkpoints.folder)
    )
    metrics |= final_gradients(run.program, run.images, run.settings)
    seconds = time.perf_counter() - began
    run.record.tag(run.images.tags(by_image))
    log_pictures(run, selected)  # whose curves end with the last epoch
    validated = {key: value for key, value in metrics.items() if key in CURVES and run.record.history(key)}
    run.record.metrics({key: value for key, value in metrics.items() if key not in validated}, selected)
    if selected != trained:  # else a validated epoch has these already, from the same weights and noise
        run.record.metrics(validated, trained)
    for split in by_image:
        run.record.arrays(by_image[split], f"evaluation/{split}.npz")
        run.record.arrays(by_latent[split], f"evaluation/{split}_latents.npz")
    run.record.metrics({"perf/evaluation_seconds": seconds, "perf/peak_memory_mb": peak_memory_mb()}, selected)
    return metrics
