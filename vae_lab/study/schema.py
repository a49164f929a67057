"""What an experiment's file can say, as a JSON schema: editors complete, explain and check by it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vae_lab.config.described import described
from vae_lab.config.options import CONF, option_file, option_names
from vae_lab.study.expectations import COMMON, KEYS, MARKS
from vae_lab.study.plan import KINDS, STUDY_KEYS

Schema = dict[str, Any]

NO_GROUPS = ("experiment", "hydra")
LOOKED_UP: Schema = {"type": "string", "pattern": r"^\$\{"}
TEXT: Schema = {"type": "string"}


def experiment_schema() -> Schema:
    """The schema of the files in conf/experiment, for the options that there are here, a project's own among them."""
    groups = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name not in NO_GROUPS)
    settings = {group: settings_of(group) for group in groups}
    top = {key: kind for key, kind in leaves_of(CONF / "train.yaml").items() if not key.startswith(("study", "hydra"))}
    overrides = {f"{group}.{key}": kind for group in groups for key, kind in settings[group].items()}
    overrides["latent_size"] = top["latent_size"]
    overrides |= {group: {"anyOf": [{"enum": option_names(group)}, {"type": "object"}]} for group in groups}
    chosen = {f"override /{group}": {"enum": option_names(group)} for group in groups}
    defaults = {"anyOf": [TEXT, {"type": "object", "properties": chosen}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An experiment of vae_lab",
        "patternProperties": {"^_": {}},
        **closed(
            {
                "defaults": {"type": "array", "items": defaults},
                "hydra": {"type": "object"},
                "study": study(mapping_of_overrides(overrides)),
                **nested(top),
                **{group: closed(nested(settings[group])) for group in groups},
            }
        ),
    }


def settings_of(group: str) -> dict[str, Schema]:
    """By dotted key, what the settings of a group's options can be; where options differ, any of it."""
    found: dict[str, Schema] = {"_target_": TEXT}
    for name in option_names(group):
        for key, kind in leaves_of(option_file(group, name), group).items():
            known = found.get(key, kind)
            found[key] = known if of_kind(known) == of_kind(kind) else {"description": known.get("description", "")}
    return found


def leaves_of(file: Path, group: str = "") -> dict[str, Schema]:
    """By dotted key, what the settings of a file can be, with what their comments say."""
    return {
        key: kind_of(one.default) | ({"description": one.words} if one.words else {})
        for key, one in described(file, group).settings.items()
    }


def kind_of(default: Any) -> Schema:
    """What a setting can be, as far as its default tells: of null and text anything."""
    for kind, name in ((bool, "boolean"), (int | float, "number"), (list, "array"), (dict, "object")):
        if isinstance(default, kind):
            # a word may stand for true and false (auto), and a list for all or none
            others = [{"type": ["string", "array"]}] if name == "boolean" else [LOOKED_UP, {"type": "null"}]
            return {"anyOf": [{"type": name}, *others]}
    return {}


def of_kind(schema: Schema) -> Any:
    """What a schema says beside its description; None where it can be anything."""
    return schema.get("anyOf")


def nested(leaves: Mapping[str, Schema]) -> dict[str, Schema]:
    """Schemas by dotted keys as those of mappings inside each other."""
    found: dict[str, Schema] = {}
    for key, kind in leaves.items():
        *path, last = key.split(".")
        place = found
        for step in path:
            place = place.setdefault(step, closed({}))["properties"]
        place[last] = kind
    return found


def closed(properties: dict[str, Schema]) -> Schema:
    """A mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def mapping_of_overrides(overrides: dict[str, Schema]) -> Schema:
    """What an arm can change; below a setting that may be a mapping, everything, and what Hydra adds or takes away."""
    free = [f"^{re.escape(key)}\\." for key, kind in overrides.items() if of_kind(kind) is None]
    return closed(overrides) | {"patternProperties": {pattern: {} for pattern in ("^[+~]", *free)}}


def study(overrides: Schema) -> Schema:
    """A study: its arms, seeds and what is expected of it."""
    seeds = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "uniqueItems": True}
    fields = {"metric"}.union(COMMON, *KEYS)
    expected = closed({key: {} for key in fields} | {"mark": {"enum": sorted(MARKS)}, "source": TEXT})
    known = {
        "question": TEXT,
        "kind": {"enum": list(KINDS)},
        "arms": {
            "type": "object",
            "additionalProperties": overrides,
            "minProperties": 1,
        },
        "seeds": seeds,
        "metric": TEXT,
        "expected": {"type": "array", "items": expected},
        "smallest_effect": {"type": "number"},
        "short": overrides | {"properties": overrides["properties"] | {"seeds": seeds}},
    }
    assert set(known) == STUDY_KEYS
    return closed(known) | {"required": ["arms", "seeds"]}
