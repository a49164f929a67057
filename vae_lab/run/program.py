"""A model with its compiled functions, re-used by every run of the same structure in this process.

Tracing and compiling cost seconds where a small run trains in less than one, and their graphs are never freed; new
weights are assigned into a program that exists.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vae_lab.config import parts
from vae_lab.config.settings import Settings
from vae_lab.data.dataset import load
from vae_lab.data.images import RunImages, run_images
from vae_lab.evaluation.elbo import ElboEvaluator
from vae_lab.evaluation.importance import LogLikelihoodEvaluator
from vae_lab.protocols import Callback, Metric, Picture
from vae_lab.run.device import resolved_jit
from vae_lab.study.structure import model_structure, training_structure
from vae_lab.training import Trainer


@dataclass(frozen=True)
class Program:
    """A built model and the compiled functions around it."""

    model: Any
    trainer: Trainer
    elbo: ElboEvaluator
    log_likelihood: LogLikelihoodEvaluator
    metrics: Mapping[str, Metric] = field(default_factory=dict)  # the user's own, by name
    callbacks: Mapping[str, Callback] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)


# Decodings of the final log-likelihood from which on compiling the likelihood is faster than not.
DECODINGS_TO_COMPILE = 200_000

_models: dict[str, tuple[Any, ElboEvaluator, LogLikelihoodEvaluator]] = {}
_trainers: dict[str, Trainer] = {}


def images_of(settings: Settings) -> RunImages:
    """A run's images."""
    return run_images(load(settings.options["data"]), parts.make(settings.options["binarization"]))


def jit_evaluation(settings: Settings, images: RunImages) -> bool:
    """Whether XLA compiles the likelihood in evaluations too, which costs seconds: where enough of it earns them."""
    decodings = len(images.fixed["test"].pixels) * settings.evaluation.importance_samples
    return settings.training.jit is not False and decodings >= DECODINGS_TO_COMPILE


def new_model(settings: Settings, images: RunImages) -> Any:
    """The run's model with the initial weights of its seed."""
    return parts.make_model(settings, images.shape, images.levels, images.train_mean, images.first())


def evaluators(settings: Settings, model: Any, images: RunImages) -> tuple[ElboEvaluator, LogLikelihoodEvaluator]:
    """The evaluations of a model."""
    jit = jit_evaluation(settings, images)
    return ElboEvaluator(model, settings.closed_form_kl, jit), LogLikelihoodEvaluator(model, jit)


def new_trainer(settings: Settings, model: Any, images: RunImages) -> Trainer:
    """The compiled training of a model."""
    return Trainer(
        model,
        estimator=parts.make(settings.options["estimator"]),
        optimizer=parts.make_optimizer(settings, steps_per_epoch(settings, images))[0],
        binarization=parts.make(settings.options["binarization"]),
        levels=images.train.levels,
        settings=settings.training,
        jit=resolved_jit(settings),
    )


def own_parts(settings: Settings) -> tuple[dict[str, Metric], dict[str, Callback], dict[str, Picture]]:
    """The metrics, callbacks and pictures that the user has brought, each by its name."""

    def made(named: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        return {name: parts.make(option) for name, option in named.items()}

    evaluation = settings.evaluation
    return made(evaluation.metrics), made(settings.training.callbacks), made(evaluation.own_pictures)


def new_program(settings: Settings, images: RunImages) -> Program:
    """A program of its own for a run, with the initial weights of its seed. Nothing is compiled yet."""
    model = new_model(settings, images)
    elbo, log_likelihood = evaluators(settings, model, images)
    return Program(model, new_trainer(settings, model, images), elbo, log_likelihood, *own_parts(settings))


def program_for(settings: Settings, images: RunImages) -> Program:
    """The program that this process has for the run's structure, put to the initial weights of its seed.

    Runs that differ in how they train share the model and its evaluations.
    """
    # Of a user's own file the settings tell neither shape nor type.
    shape = f"{images.shape} {images.train.pixels.dtype}"
    structure = f"{model_structure(settings)} {jit_evaluation(settings, images)} {shape}"
    fresh = new_model(settings, images)
    if structure not in _models:
        _models[structure] = fresh, *evaluators(settings, fresh, images)
    model, elbo, log_likelihood = _models[structure]
    if model is not fresh:
        model.set_weights(fresh.get_weights())
    rows = len(images.train.pixels)
    training = f"{structure} {training_structure(settings, rows)} {resolved_jit(settings)}"
    if training not in _trainers:
        _trainers[training] = new_trainer(settings, model, images)
    trainer = _trainers[training]
    trainer.reset_optimizer(parts.make_optimizer(settings, steps_per_epoch(settings, images))[1])
    return Program(model, trainer, elbo, log_likelihood, *own_parts(settings))


def steps_per_epoch(settings: Settings, images: RunImages) -> int:
    """Whole batches in the training rows."""
    return len(images.train.pixels) // settings.training.batch_size
