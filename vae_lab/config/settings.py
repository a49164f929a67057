"""A run's settings as plain values: what is left of a configuration once it is checked."""

import math
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from vae_lab.config.checks.facts import AXES, Config, bits_offset, fact, has_closed_form_kl
from vae_lab.config.checks.targets import check_allowed
from vae_lab.config.compose import plain
from vae_lab.errors import UsageError

OPTIONS = (*AXES, "optimizer", "schedule")


@dataclass(frozen=True)
class EarlyStopping:
    """`training.early_stopping`."""

    patience: int | None
    min_delta: float
    start_from_epoch: int


@dataclass(frozen=True)
class TrainingSettings:
    """`training`."""

    epochs: int
    batch_size: int
    loss_reduction: str
    normalize_gradients: bool
    select: str
    jit: bool | str
    precision: str
    early_stopping: EarlyStopping
    checkpoint_seconds: float
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def selects(self) -> bool:
        """Whether validation decides which weights come out."""
        return self.select == "best" or self.early_stopping.patience is not None


@dataclass(frozen=True)
class GapSettings:
    """`evaluation.gaps`."""

    images: int
    annealing_steps: int
    chains: int
    leapfrog_steps: int
    optimization_steps: int
    learning_rate: float
    samples: int
    families: tuple[str, ...]
    simulated: int


@dataclass(frozen=True)
class EvaluationSettings:
    """`evaluation`."""

    seed: int
    samples: int
    importance_samples: int
    splits: tuple[str, ...]
    log_likelihood_of: tuple[str, ...]
    latent_images: int
    gradient_draws: int
    images_every: int
    pictures: Any
    gaps: GapSettings
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    own_pictures: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """A run's settings.

    Attributes:
      options: by axis, and of optimizer and schedule, the chosen option: its name, class, settings and facts.
      closed_form_kl: whether KL(posterior, prior) has a closed form.
      fast_log_prob: whether the posterior gives its density at latents that it did not draw.
      bits_offset: what makes bits per dim comparable between likelihoods; None where nothing does.
      convolutional: whether a network is.
    """

    options: dict[str, dict[str, Any]]
    latent_size: int
    seed: int
    training: TrainingSettings
    evaluation: EvaluationSettings
    closed_form_kl: bool
    fast_log_prob: bool
    bits_offset: float | None
    convolutional: bool


def first_counted(patience: int | None, estimator: dict[str, Any]) -> int:
    """The epochs that early stopping lets pass where nothing is said: those of the warm-up; 0 where nothing stops."""
    return 0 if patience is None else math.ceil(estimator.get("warmup_epochs") or 0)


def settings_of(cfg: Config) -> Settings:
    """The settings of a composed configuration.

    Raises:
      UsageError: where it is of another version, or names what is no part.
    """
    described = plain(cfg)
    check_allowed(described)
    training, evaluation = described["training"], described["evaluation"]
    for group, kind in (("training", TrainingSettings), ("evaluation", EvaluationSettings)):
        needed = {one.name for one in fields(kind) if one.default_factory is MISSING}
        if lacking := sorted(needed - described[group].keys()):
            raise UsageError(f"the configuration is of another version of vae_lab: it has no {group}.{lacking[0]}")
    stopping = described["training"]["early_stopping"]
    if stopping["start_from_epoch"] is None:
        stopping = stopping | {"start_from_epoch": first_counted(stopping["patience"], described["estimator"])}
    lists = {key: tuple(evaluation[key]) for key in ("splits", "log_likelihood_of")}
    gaps = GapSettings(**evaluation["gaps"] | {"families": tuple(evaluation["gaps"]["families"])})
    return Settings(
        options={axis: described[axis] for axis in OPTIONS},
        latent_size=described["latent_size"],
        seed=described["seed"],
        training=TrainingSettings(**{**training, "early_stopping": EarlyStopping(**stopping)}),
        evaluation=EvaluationSettings(**{**evaluation, **lists, "gaps": gaps}),
        closed_form_kl=has_closed_form_kl(cfg),
        fast_log_prob=fact(cfg.posterior, "fast_log_prob"),
        bits_offset=bits_offset(cfg),
        convolutional=any(fact(cfg[axis], "convolutional", False) for axis in ("encoder", "decoder")),
    )
