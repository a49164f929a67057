"""What Hydra refuses, in one line as all else: the word, what is wrong with it, and the names like it."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vae_lab.config.checks.launching import check_program
from vae_lab.config.compose import compose_unchecked
from vae_lab.config.credentials import kept_apart
from vae_lab.config.options import CONF, NO_PACKAGE, broken, command_of, option_names, read_option
from vae_lab.config.overrides import known_keys, with_home
from vae_lab.errors import UsageError, told

OF_THE_USER = (
    *("sweep.repeat", "sweep.accept", "sweep.plan", "sweep.max_failures"),
    *("sweep.until", "sweep.max_seeds", "sweep.budget_hours", "sweep.drop"),
)
MOST_NAMES = 16  # that are listed where none is like the one that was given


def hydra_arguments(words: Sequence[str]) -> list[str]:
    """A command line as Hydra's parser takes it: overrides, then its own options, wherever they stood.

    Raises:
      UsageError: where a word is no option of the command, is not in the grammar of overrides, or takes a part away.
    """
    parser = get_args_parser()
    parser.error = _refuse_option
    asked = parser.parse_intermixed_args(list(words))
    options = [word for word in words if word not in asked.overrides]
    overrides = [*map(_named, map(kept_apart, with_home(asked.overrides)))]
    _check_strangers(overrides, asked)
    return [*overrides, *options]


def _check_strangers(overrides: Sequence[str], asked: Any) -> None:
    """Looks at what the files on the way would have Hydra import, before Hydra does.

    Args:
      overrides: of the command line.
      asked: its other words, as Hydra's parser has read them.
    """
    for word in ("config_path", "config_name", "experimental_rerun"):
        if getattr(asked, word, None) is not None:
            raise UsageError(
                f"--{word.replace('_', '-')}: there is one configuration, train.yaml; --config-dir adds a folder of "
                "options to it"
            )
    single = [word for word in overrides if not OverridesParser.create().parse_override(word).is_sweep_override()]
    if asked.config_dir is not None:
        if any(word.startswith("hydra.searchpath") for word in overrides):
            raise UsageError("hydra.searchpath and --config-dir are given both; name all folders in hydra.searchpath")
        single.append(f"hydra.searchpath=['file://{Path(asked.config_dir).absolute()}']")
    try:
        cfg = compose_unchecked(*single, with_hydra=True)
    except (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError):
        return  # Hydra composes the same, and what it says of it is told
    check_program(cfg, overrides)


def _refuse_option(message: str) -> NoReturn:
    raise UsageError(f"{message}; settings are given as key=value, such as training.epochs=5, and --help lists them")


def _named(word: str) -> str:
    """An override whose form is legal; an experiment's without the ending of its file."""
    try:
        (override,) = OverridesParser.create().parse_overrides([word])
    except HydraException as error:
        raise UsageError(refusal(error, [word])) from None
    key, value = override.key_or_group, None if override.is_sweep_override() else override.value()
    if override.is_delete() and not key.startswith("hydra"):
        raise UsageError(f"{word}: nothing can be taken away from a run; leave the word out, or set {key} to a value")
    if key.startswith("sweep.") and key not in OF_THE_USER:
        raise UsageError(f"{key} is what a sweep tells its jobs, and no setting; leave it out")
    if value is None and key.startswith("paths.") and not override.is_sweep_override():
        raise UsageError(f"{word}: {key} must be a folder; name one, or leave it out")
    if key in groups():
        check_chosen(override)
    if key == "tracking.experiment_name" and value is not None and not isinstance(value, str):
        return f"{key}='{word.partition('=')[2]}'"  # 2024 is a name, too
    return re.sub(r"\.ya?ml$", "", word) if key == "experiment" else word


def groups() -> list[str]:
    """The axes, and what else has its options in a folder of conf/."""
    return sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")


def check_chosen(override: Override) -> None:
    """Raises UsageError where an option is chosen by what is no name."""
    chosen = list(override.sweep_iterator()) if override.is_discrete_sweep() else [override.value()]
    for value in chosen:
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            key = override.key_or_group
            why = "it has one option" if isinstance(value, list) else "it needs an option"
            raise UsageError(f"{override.input_line}: {why}; {_names(key, option_names(key))}, or leave {key} out")


def refusal(error: BaseException, overrides: Iterable[str]) -> str:
    """What Hydra or OmegaConf says of overrides, in one line.

    Args:
      error: of either of them.
      overrides: what was composed.
    """
    text = str(error) or str(error.__cause__)
    if isinstance(error, (YAMLError, UnicodeDecodeError)):
        return broken(error)
    if "Incompatible key type" in text or "KEY_TYPE" in text:
        return "a name in the experiment's file is none to YAML (null, say); write it in quotes, as it is to be read"
    if isinstance(error, OverrideParseException):
        return _grammar(error.override, text)
    if found := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, name = found.groups()
        listed = [line.strip() for line in text.splitlines() if line.startswith("\t") and "=" not in line]
        return f"{group}={name}: there is no such option; {_names(group, listed, name)}"
    if "@experiment." in text:
        return NO_PACKAGE
    if found := re.search(r"Could not override '([^']+)'", text):
        return _unknown(found.group(1), [word for word in overrides if not word.lstrip("+").startswith(found.group(1))])
    if found := re.search(r"(?:argument|parameters) '(.+)'(?: requires|$)", text, re.MULTILINE):
        key, _, values = found.group(1).partition("=")
        return f"{key}={values} has several values: add -m for a sweep over them, or write [{values}] for a list"
    if found := re.search(r"Multiple values for (\S+)\. To override a value use 'override \S+: (\S+)'", text):
        return f"{found.group(1)} has an option already; write {found.group(1)}={found.group(2)}, without +"
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {told(Exception(text.splitlines()[0]))}; give it a value"
    lines = [line.strip() for line in text.splitlines()]
    return told(Exception(" ".join(line for line in lines if not line.startswith(("full_key", "object_type")))))


def _grammar(word: str, text: str) -> str:
    if "=" not in word:
        return f"{word} is no setting; settings are given as key=value, such as prior=mixture"
    why = " ".join(line for line in text.splitlines() if not line.startswith(("See ", "Error parsing")))
    key, _, value = word.partition("=")
    quoted = f"\"{key}='{value}'\"" if not set("'\"$`\\") & set(value) else f"\"{key}='...'\""
    return f"{word} is not in the grammar of overrides ({told(Exception(why))}); text is quoted twice: {quoted}"


def _unknown(key: str, others: Sequence[str]) -> str:
    """What to say of a key that there is not, by the configuration of the other overrides."""
    try:
        cfg = compose_unchecked(*(word for word in others if word.partition("=")[0] in groups()))
    except HydraException:
        cfg = compose_unchecked()
    axis, _, leaf = key.partition(".")
    if leaf and axis in groups() and axis in cfg:
        has = [name for name in option_names(axis) if leaf.split(".")[0] in _settings(axis, name)]
        if has:
            chosen = cfg[axis].get("name") or f"this {axis}"
            return f"{key}: {chosen} has no such setting; {axis}={_either(has)} has"
    known = [*known_keys(cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))), *groups()]
    like = like_it(key, known)
    if key in known:
        return f"{key}: another word has taken the place of its group; leave that word out"
    of_options = [
        f"{group}.{key} of {group}={name}"
        for group in groups()
        if group != "experiment"
        for name in option_names(group)
        if key in _settings(group, name)
    ]
    of_leaf = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
    meant = of_leaf[:3] or of_options[:3] or like
    way_out = f"did you mean {_either(meant)}?" if meant else "`--cfg job` shows all settings"
    return f"{key}: there is no such setting; {way_out}"


def _settings(axis: str, name: str) -> Any:
    option = read_option(axis, name)
    return option.get(axis, option)


def like_it(name: str, names: Iterable[str]) -> list[str]:
    """Up to three of some names that are like one, the nearest first."""
    return difflib.get_close_matches(name, sorted(set(names) - {name}), n=3)


def _either(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _names(group: str, names: Sequence[str], name: str = "") -> str:
    """The names that may be meant, or all of them."""
    if like := like_it(name, names):
        return f"did you mean {_either(like)}?"
    if len(names) > MOST_NAMES:
        return f"{command_of('reproduce')} --list shows the {len(names)} of them"
    return f"{group} can be {', '.join(names)}"
