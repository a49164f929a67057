"""The jobs of a sweep: arms x seeds x the comma lists of the command line."""

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vae_lab.errors import UsageError
from vae_lab.study.expectations import read_expectations, smallest_effect

PLAIN = re.compile(r"[A-Za-z0-9_./]+")
STUDY_KEYS = {"question", "kind", "arms", "seeds", "metric", "expected", "short", "smallest_effect"}
KINDS = ("published", "ablation", "system")  # of studies, by what they are for


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    arm: str  # which arm of the study, or what differs but for the seed
    name: str  # what differs from the other jobs
    overrides: tuple[str, ...]  # of Hydra, complete


def to_override(key: str, value: Any) -> str:
    """One override in Hydra's grammar, whatever the value.

    >>> to_override("encoder.hidden", [200, 100])
    'encoder.hidden=[200,100]'
    """
    return f"{key}={_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(_text(entry) for entry in value) + "]"
    if isinstance(value, str) and not is_plain(value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON's own word, Infinity, is text in Hydra's grammar
    return value if isinstance(value, str) else json.dumps(value)


def is_plain(text: str) -> bool:
    """Whether Hydra's grammar reads a text as itself without quotes: no number, no truth value, no other alphabet."""
    if not PLAIN.fullmatch(text) or text.lower() in ("true", "false", "null"):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def check_study(study: Mapping[str, Any]) -> None:
    """Raises UsageError where a study is not of the form that `plan` reads."""
    if unknown := set(study) - STUDY_KEYS:
        raise UsageError(f"study.{sorted(unknown)[0]} is not a key of a study; it has {', '.join(sorted(STUDY_KEYS))}")
    if study.get("kind", KINDS[0]) not in KINDS:
        raise UsageError(f"study.kind={study['kind']} must be one of {', '.join(KINDS)}")
    arms, seeds, short = study.get("arms"), study.get("seeds"), study.get("short", {})
    if not isinstance(arms, Mapping) or not arms:
        raise UsageError("study.arms must name at least one arm, each with its overrides, such as mvn: {prior: mvn}")
    for name in arms:
        if not isinstance(name, str) and type(name) is not int:
            raise UsageError(
                f"study.arms has the name {json.dumps(name)}, which YAML takes for no text; write it in quotes, as it "
                "is to be read"
            )
    for name, overrides in [*((f"arms.{arm}", arms[arm]) for arm in arms), ("short", short)]:
        if not isinstance(overrides, Mapping):
            raise UsageError(f"study.{name} must be a mapping of overrides, such as {{prior: mvn}}")
        if "seed" in overrides:
            raise UsageError(f"study.{name} sets seed; seeds belong in study.{'short.' * (name == 'short')}seeds")
    for name, listed in (("seeds", seeds), ("short.seeds", short.get("seeds", seeds))):
        if not isinstance(listed, Sequence) or not listed or len(set(listed)) != len(listed):
            raise UsageError(f"study.{name}={listed} must be a list of different seeds")
    smallest_effect(study)
    read_expectations(study)


def plan(study: Mapping[str, Any] | None, given: Mapping[str, Sequence[str]]) -> list[Job]:
    """Lists the jobs of a sweep.

    Args:
      study: question, arms and seeds of an experiment file, or None for a plain multirun. Its `short` holds overrides,
        and `seeds`, that `short=true` lays over every arm.
      given: the command line: by key, its values in Hydra's text. Several values make a sweep; whatever is given wins
        over the study's arms and seeds.

    Returns:
      The jobs, seeds innermost.
    """
    axes: list[list[tuple[str, str]]] = [[(key, text) for text in texts] for key, texts in given.items()]
    if study is None:
        arms: dict[str, dict[str, str]] = {"": {}}
    else:
        check_study(study)
        asked = [text.lower() for text in given.get("short", [])]
        if len(asked) > 1:
            raise UsageError(f"short={','.join(asked)}: a sweep is in one form; start one for each")
        wanted = asked == ["true"]
        short = dict(study.get("short", {})) if wanted else {}
        seeds = short.pop("seeds", study["seeds"])
        arms = {
            str(name): {key: _text(value) for key, value in {**overrides, **short}.items() if key not in given}
            for name, overrides in study["arms"].items()
        }
        if "seed" not in given:
            axes.append([("seed", str(seed)) for seed in seeds])
    axes.sort(key=lambda axis: axis[0][0] == "seed")
    jobs = []
    for arm, chosen in arms.items():
        for point in itertools.product(*axes):
            swept = [(key, text) for (key, text), axis in zip(point, axes, strict=True) if len(axis) > 1]
            label = "-".join(filter(None, [arm, *(f"{key}={text}" for key, text in swept if key != "seed")]))
            seed = dict(point).get("seed")
            jobs.append(
                Job(
                    arm=label or "default",
                    name="-".join(filter(None, [label, f"s{seed}" if seed is not None else "s0"])),
                    overrides=tuple(f"{key}={text}" for key, text in [*chosen.items(), *point]),
                )
            )
    return jobs
