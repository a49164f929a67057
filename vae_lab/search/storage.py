"""An Optuna study in its database: opened, asked, and brought in order after its process has died."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache
from typing import Any

import optuna
import sqlalchemy.exc
from filelock import FileLock
from hydra.errors import InstantiationException
from optuna.trial import TrialState

from vae_lab.config.checks.targets import SEARCHES
from vae_lab.config.credentials import storage_address, with_password, without_password
from vae_lab.config.parts import make
from vae_lab.errors import UsageError
from vae_lab.tracking.store import SQLITE, database_path

SECONDS_FOR_THE_DATABASE = 60
SETTINGS, AGAIN = "vae_lab.search", "vae_lab.again"

optuna.logging.set_verbosity(optuna.logging.WARNING)


def address_of(storage: Any) -> str:
    """The address of an opened database, as jobs are told it: whole, but for the password."""
    return storage_address(storage.url)


@lru_cache(maxsize=8)
def open_storage(url: str) -> Any:
    """Optuna's storage of a database, which is made where it does not exist.

    Raises:
      UsageError: when it cannot be made or does not answer.
    """
    try:
        path = database_path(url)
        if path is None:
            return optuna.storages.RDBStorage(with_password(url))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=SECONDS_FOR_THE_DATABASE):
            # Write-ahead logging lets several jobs report at once.
            with closing(sqlite3.connect(path)) as database:
                database.execute("PRAGMA journal_mode=WAL")
            waiting = {"connect_args": {"timeout": SECONDS_FOR_THE_DATABASE}}
            return optuna.storages.RDBStorage(f"{SQLITE}{path}", engine_kwargs=waiting)
    except (OSError, ImportError, RuntimeError, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        told = without_password(" ".join(str(error).split()))[:200]
        raise UsageError(
            f"hydra.sweeper.storage={url} cannot be opened ({told}); name a database as in sqlite:////tmp/optuna.db"
        ) from error


def make_part(name: str, option: Mapping[str, Any] | None) -> Any:
    """The sampler or pruner of the configuration; None for none.

    Raises:
      UsageError: where Optuna has no such part, or not with these settings.
    """
    if option is None:
        return None
    try:
        return make(option, SEARCHES)
    except InstantiationException as error:
        raise UsageError(f"hydra.sweeper.{name}: {' '.join(str(error).split())[:300]}") from None


def open_study(
    name: str, url: str, direction: str, settings: dict[str, Any], sampler: Mapping[str, Any], pruner: Any
) -> Any:
    """The study of a search, made where it does not exist.

    Args:
      name, url: the study and its database.
      direction: maximize or minimize.
      settings: what makes two searches the same search.
      sampler: the sampler's configuration.
      pruner: the pruner's configuration, kept for the jobs, which may run in other processes; or None.

    Raises:
      UsageError: where the study is another search.
    """
    study = optuna.create_study(
        study_name=name,
        storage=open_storage(url),
        direction=direction,
        sampler=make_part("sampler", sampler),
        load_if_exists=True,
    )
    require_same(study, url, settings)
    study.set_user_attr(SETTINGS, settings)
    study.set_user_attr("pruner", pruner)
    return study


def find_study(name: str, url: str, settings: dict[str, Any]) -> Any:
    """The study of a search that has begun, to look at; None where it has not.

    Raises:
      UsageError: where the study is another search.
    """
    try:
        study = optuna.load_study(study_name=name, storage=open_storage(url))
    except KeyError:
        return None
    require_same(study, url, settings)
    return study


def require_same(study: Any, url: str, settings: dict[str, Any]) -> None:
    """Raises UsageError where a study is not of the search with these settings."""
    name, before = study.study_name, study.user_attrs.get(SETTINGS)
    if before is None and study.get_trials(deepcopy=False):
        raise UsageError(f"hydra.sweeper.study_name={name} in {url} was not made by this sweeper; take another name")
    if before is not None and (other := differences(before, settings)):
        raise UsageError(
            f"hydra.sweeper.study_name={name} in {url} is another search: {other}; "
            "take another study_name, or the settings it had"
        )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is not the same in two searches, in words."""
    spaces = before["space"], now["space"]
    keys = [key for key in spaces[0] | spaces[1] if spaces[0].get(key) != spaces[1].get(key)]
    told = [f"its space differs in {', '.join(keys)}"] if keys else []
    others = ("metric", "direction", "seeds")
    told += [f"its {key} was {before[key]} and not {now[key]}" for key in others if before[key] != now[key]]
    if not told and before["rest"] != now["rest"]:
        told = ["it had another model, data set, training, evaluation or code beside its space"]
    return "; ".join(told)


def load_study(name: str, url: str) -> Any:
    """The study as a job sees it: with its pruner."""
    storage = open_storage(url)
    study = optuna.load_study(study_name=name, storage=storage)
    pruner = make_part("pruner", study.user_attrs["pruner"])
    return optuna.load_study(study_name=name, storage=storage, pruner=pruner or optuna.pruners.NopPruner())


def ask_again(study: Any) -> int:
    """Fails the trials of a process that has died, and puts their points first in line; returns how many.

    What they have reported stays with them: the run of a point goes on from its checkpoint.
    """
    dead = study.get_trials(states=(TrialState.RUNNING,))
    for trial in dead:
        study.tell(trial.number, state=TrialState.FAIL)
        study.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                intermediate_values=trial.intermediate_values,
                user_attrs={AGAIN: trial.number},
            )
        )
    return len(dead)


def ask(study: Any, sampler: Mapping[str, Any], distributions: Mapping[str, Any]) -> Any:
    """The next trial.

    A seeded sampler is made anew for each: its draws depend on the seed and on how many points were asked for, so that
    a search that was cut off goes on as it would have, and does not begin with the draws it began with.
    """
    trials = study.get_trials(deepcopy=False)
    if sampler.get("seed") is not None and sampler["_target_"].endswith((".TPESampler", ".RandomSampler")):
        asked = sum(AGAIN not in trial.user_attrs for trial in trials)
        sampler = {**sampler, "seed": (sampler["seed"] * 1_000_003 + asked) % 2**32}
        study.sampler = make_part("sampler", sampler)
    return study.ask(dict(distributions))


def key_of(params: Mapping[str, Any]) -> str:
    """A point as text: equal for equal points."""
    return json.dumps(params, sort_keys=True)


def known_points(study: Any) -> dict[str, Any]:
    """The trials that are COMPLETE or PRUNED, by their points; the first of each point."""
    known: dict[str, Any] = {}
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        known.setdefault(key_of(trial.params), trial)
    return known
