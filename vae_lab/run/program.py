"""A model with its compiled functions, re-used by every run of the same structure in this process.

Tracing and compiling cost seconds where a small run trains in less than one, and their graphs are never freed; new
weights are assigned into a program that exists.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vae_lab.config import compose
from vae_lab.config.checks.facts import fact
from vae_lab.data.dataset import Dataset, load
from vae_lab.evaluation.elbo import ElboEvaluator
from vae_lab.evaluation.importance import LogLikelihoodEvaluator
from vae_lab.study.identity import model_structure, resolve_jit, training_structure
from vae_lab.training import Trainer


@dataclass(frozen=True)
class Program:
    """A built model and the compiled functions around it."""

    model: Any
    trainer: Trainer
    elbo: ElboEvaluator
    log_likelihood: LogLikelihoodEvaluator


@dataclass(frozen=True)
class Pixels:
    """A run's pixels after binarization: for training, and fixed ones of each split for evaluation."""

    train: np.ndarray
    train_levels: int
    fixed: dict[str, tuple[np.ndarray, int]]  # by split: pixels and their levels

    def levels(self) -> int:
        """Grey levels of the pixels that the likelihood scores."""
        return self.fixed["test"][1]

    def train_images(self, count: int = 5000) -> np.ndarray:
        """The first training images in [0, 1], before any drawing at visits."""
        return self.fixed["train"][0][:count] / np.float32(self.fixed["train"][1] - 1)

    def train_mean(self) -> np.ndarray:
        """Mean training image in [0, 1]."""
        return self.train.mean(axis=0, dtype=np.float64) / (self.train_levels - 1)


# Decodings of the final log-likelihood from which on compiling the likelihood is faster than not.
DECODINGS_TO_COMPILE = 200_000

_models: dict[str, tuple[Any, ElboEvaluator, LogLikelihoodEvaluator]] = {}
_trainers: dict[str, Trainer] = {}


def load_dataset(cfg: Any) -> Dataset:
    """The data set of a configuration; the last two stay in memory."""
    return load(cfg.data)


def binarize(dataset: Dataset, binarization: Any) -> Pixels:
    """Applies a binarization to every split."""
    fixed = {name: binarization.fix(split.pixels, dataset.levels, name) for name, split in dataset.splits().items()}
    train, levels = (dataset.train.pixels, dataset.levels) if binarization.redraws else fixed["train"]
    return Pixels(train, levels, fixed)


def jit_evaluation(cfg: Any, pixels: Pixels) -> bool:
    """Whether XLA compiles the likelihood in evaluations too, which costs seconds: where enough of it earns them."""
    decodings = len(pixels.fixed["test"][0]) * cfg.evaluation.importance_samples
    return cfg.training.jit is not False and decodings >= DECODINGS_TO_COMPILE


def has_closed_form_kl(cfg: Any) -> bool:
    """Whether KL(posterior, prior) has a closed form, by the posterior's stated facts."""
    return cfg.prior.name in fact(cfg.posterior, "closed_form_kl_with", [])


def new_model(cfg: Any, pixels: Pixels) -> Any:
    """The configuration's model with the initial weights of its seed."""
    return compose.make_model(cfg, pixels.train.shape[1:], pixels.levels(), pixels.train_mean(), pixels.train_images())


def evaluators(cfg: Any, model: Any, pixels: Pixels) -> tuple[ElboEvaluator, LogLikelihoodEvaluator]:
    """The evaluations of a model."""
    jit = jit_evaluation(cfg, pixels)
    return ElboEvaluator(model, has_closed_form_kl(cfg), jit), LogLikelihoodEvaluator(model, jit)


def new_trainer(cfg: Any, model: Any, pixels: Pixels, binarization: Any) -> Trainer:
    """The compiled training of a model."""
    optimizer, _ = compose.make_optimizer(cfg, steps_per_epoch(cfg, pixels))
    return Trainer(
        model,
        compose.make_estimator(cfg),
        optimizer,
        binarization,
        pixels.train_levels,
        cfg.training.batch_size,
        cfg.training.loss_reduction,
        cfg.training.normalize_gradients,
        resolve_jit(compose.plain(cfg)),
    )


def new_program(cfg: Any, pixels: Pixels, binarization: Any) -> Program:
    """A program of its own for a configuration, with the initial weights of its seed. Nothing is compiled yet."""
    model = new_model(cfg, pixels)
    return Program(model, new_trainer(cfg, model, pixels, binarization), *evaluators(cfg, model, pixels))


def program_for(cfg: Any, pixels: Pixels, binarization: Any) -> Program:
    """The program that this process has for the configuration's structure, put to the initial weights of its seed.

    Runs that differ in how they train share the model and its evaluations.
    """
    described = compose.plain(cfg)
    # Of a user's own file the configuration tells neither shape nor type.
    shape = f"{pixels.train.shape[1:]} {pixels.train.dtype}"
    structure = f"{model_structure(described)} {jit_evaluation(cfg, pixels)} {shape}"
    fresh = new_model(cfg, pixels)
    if structure not in _models:
        _models[structure] = fresh, *evaluators(cfg, fresh, pixels)
    model, elbo, log_likelihood = _models[structure]
    if model is not fresh:
        model.set_weights(fresh.get_weights())
    training = f"{structure} {training_structure(described, len(pixels.train))}"
    if training not in _trainers:
        _trainers[training] = new_trainer(cfg, model, pixels, binarization)
    trainer = _trainers[training]
    trainer.reset_optimizer(compose.make_optimizer(cfg, steps_per_epoch(cfg, pixels))[1])
    return Program(model, trainer, elbo, log_likelihood)


def steps_per_epoch(cfg: Any, pixels: Pixels) -> int:
    """Whole batches in the training rows."""
    return len(pixels.train) // cfg.training.batch_size
