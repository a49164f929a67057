"""What determines a run's numbers: settings, data and code. The same on every machine, and known without TensorFlow."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from vae_lab.config.described import dotted
from vae_lab.config.settings import Settings
from vae_lab.data.dataset import identity as data_identity
from vae_lab.study.code import Sources

# Keys, or how they begin, that say where and how fast, not what: a run is the same with or without them.
PLACES = (
    "hydra",
    "sweep.",
    "tracking",
    "paths.",
    "data.dir",
    "data.path",
    "training.checkpoint_seconds",
    "evaluation.images_every",
    "evaluation.pictures",
    "evaluation.own_pictures",
)

# Where the code of a number begins, beside the classes that the options name.
TRAINING_CODE = (
    "vae_lab.config.parts",
    "vae_lab.data.images",
    "vae_lab.run.fit",
    "vae_lab.run.program",
    "vae_lab.training",
)
VALIDATION_CODE = ("vae_lab.evaluation.elbo", "vae_lab.evaluation.metrics")
EVALUATION_CODE = ("vae_lab.evaluation.final", "vae_lab.evaluation.elbo", "vae_lab.evaluation.importance")
# What they import that makes none: places, words and pictures; and libraries, which belong to the environment.
NO_NUMBERS = (
    "vae_lab.config.checks",
    "vae_lab.config.compose",
    "vae_lab.config.settings",
    "vae_lab.console",
    "vae_lab.errors",
    "vae_lab.evaluation.pictures",
    "vae_lab.report",
    "vae_lab.run.checkpoint",
    "vae_lab.run.conclude",
    "vae_lab.run.device",
    "vae_lab.run.interrupts",
    "vae_lab.run.order",
    "vae_lab.run.run",
    "vae_lab.study",
    "vae_lab.tracking",
    *("tensorflow", "tensorflow_probability", "keras", "numpy", "scipy", "sklearn"),
)
DRAWS = ("seed", "samples")  # of the evaluation: what its noise depends on
# What follows for the evaluation from the options' facts.
SWITCHES = ("closed_form_kl", "fast_log_prob", "bits_offset")
MOST_DIFFERENCES = 4  # that are named


def without_places(node: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What counts of an option or a group: its settings without facts, places and groups that hold nothing."""
    counted = {key: value for key, value in settings.items() if key != "facts" and f"{node}.{key}" not in PLACES}
    return {key: value for key, value in counted.items() if value != {}}


def normalised(value: Any) -> Any:
    """A setting in its plainest form: 1.0 is 1, and a tuple a list.

    >>> normalised([1.0, True, {"rate": 5e-1}])
    [1, True, {'rate': 0.5}]
    """
    if isinstance(value, Mapping):
        return {str(key): normalised(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [normalised(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def classes_of(settings: Any) -> Iterator[str]:
    """The classes and functions that settings name, at any depth: by _target_, or by path for Hydra to get."""
    if isinstance(settings, Mapping):
        target = str(settings.get("_target_", ""))
        yield from [str(settings["path"])] if target.startswith("hydra.utils.get_") else [target] if target else []
        for value in settings.values():
            yield from classes_of(value)
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from classes_of(value)


def digest_of(content: Any) -> str:
    """A short digest of what JSON can say."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Identity:
    """What a run's numbers are the result of.

    Attributes:
      trained: the settings of training by dotted keys, the seed among them.
      evaluated: those of the evaluation.
      data: SHA-256 of the data set's pixels as its files have them.
      training_code, evaluation_code: by file, a digest of what of it can change a number.
    """

    trained: dict[str, Any]
    evaluated: dict[str, Any]
    data: str
    training_code: dict[str, str]
    evaluation_code: dict[str, str]

    @cached_property
    def training(self) -> str:
        """Equal for runs that come to the same weights."""
        return digest_of([self.trained, self.data, self.training_code])

    @cached_property
    def evaluation(self) -> str:
        """Equal for runs that come to the same metrics."""
        return digest_of([self.training, self.evaluated, self.evaluation_code])

    @cached_property
    def group(self) -> str:
        """Equal for runs that differ in their seed alone."""
        of_group = {key: value for key, value in self.trained.items() if key != "seed"}
        return digest_of([of_group, self.data, self.training_code, self.evaluated, self.evaluation_code])

    @cached_property
    def asked(self) -> str:
        """Equal for runs of the same settings and data, whatever the code."""
        return digest_of([self.trained, self.data, self.evaluated])

    @property
    def code(self) -> dict[str, str]:
        """All files of code, with their digests."""
        return self.training_code | self.evaluation_code

    def tags(self) -> dict[str, str]:
        """The tags that a run is found by."""
        return {
            "vae_lab.training": self.training,
            "vae_lab.evaluation": self.evaluation,
            "vae_lab.group": self.group,
            "vae_lab.asked": self.asked,
            "vae_lab.data_sha256": self.data,
        }

    def to_json(self) -> str:
        """The identity as a person can read it; `from_json` reads it back."""
        digests = {"training": self.training, "evaluation": self.evaluation, "group": self.group}
        return json.dumps(digests | asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Identity":
        """What `to_json` wrote."""
        content = json.loads(text)
        return cls(**{name: content[name] for name in cls.__dataclass_fields__})


def identity_of(settings: Settings, sources: Sources | None = None) -> Identity:
    """The identity of a run.

    Args:
      settings: the run's.
      sources: the code, where it has been read for other runs of the same plan.

    Raises:
      UsageError: where the data's files are missing or are not what they must be.
    """
    sources, selects = sources or Sources(), settings.training.selects
    trained: dict[str, Any] = {axis: without_places(axis, option) for axis, option in settings.options.items()}
    trained |= {"training": without_places("training", asdict(settings.training))}
    trained |= {"latent_size": settings.latent_size, "seed": settings.seed}
    if selects:
        trained["validation"] = {key: getattr(settings.evaluation, key) for key in DRAWS}
    evaluated = {"evaluation": without_places("evaluation", asdict(settings.evaluation))}
    core = (*TRAINING_CODE, *(VALIDATION_CODE if selects else ()))
    validates = selects or settings.training.callbacks  # which may use what we evaluate with
    rooms = NO_NUMBERS if validates else (*NO_NUMBERS, "vae_lab.evaluation")
    return Identity(
        trained=dict(dotted(normalised(trained))),
        evaluated=dict(dotted(normalised(evaluated))) | {switch: getattr(settings, switch) for switch in SWITCHES},
        data=data_identity(settings.options["data"]),
        training_code=sources.closure(core, sorted(classes_of(trained)), without=rooms),
        evaluation_code=sources.closure(EVALUATION_CODE, sorted(classes_of(evaluated)), without=NO_NUMBERS),
    )


def differences(before: Identity, now: Identity) -> list[str]:
    """In what two identities differ, in words: settings, data, files of code."""
    told = []
    settings = {**before.trained, **before.evaluated}, {**now.trained, **now.evaluated}
    for key in sorted(settings[0] | settings[1]):
        one, other = (shown(of_run[key]) if key in of_run else "none" for of_run in settings)
        if one != other:
            told.append(f"{key} {one} -> {other}")
    if before.data != now.data:
        told.append(f"data (SHA-256 {before.data[:12]}... -> {now.data[:12]}...)")
    changed = changed_files(before, now)
    return told + ([f"code: {listed(changed)}"] if changed else [])


def changed_files(before: Identity, now: Identity) -> list[str]:
    """The files of code in which two identities differ."""
    return sorted(path for path in before.code | now.code if before.code.get(path) != now.code.get(path))


def shown(value: Any) -> str:
    """A setting as the command line writes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def listed(names: list[str]) -> str:
    """Names as one text, the first few of many."""
    more = len(names) - MOST_DIFFERENCES
    return ", ".join(names[:MOST_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")
