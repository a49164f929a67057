"""A search from space to best trial. What is known is not done again; what was cut off goes on."""

import hashlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from vae_lab.config.compose import plain
from vae_lab.config.composer import Composer
from vae_lab.config.options import command_of
from vae_lab.errors import UsageError
from vae_lab.report.format import clock
from vae_lab.run.job import check_sweep
from vae_lab.run.lock import Lock, Locked, locks_folder
from vae_lab.search.space import Point, Space, check_space, read_space
from vae_lab.search.storage import address_of, ask_again, find_study, key_of, make_part, open_storage, open_study
from vae_lab.search.trials import Trials, jobs_of
from vae_lab.study.code import Sources
from vae_lab.study.plan import to_override
from vae_lab.sweep.apart import MOST_STRUCTURES
from vae_lab.sweep.multirun import Launch, check_workers, share_cores

METRICS = ("val/elbo", "val/rate", "val/distortion")


def search(
    config: Any,
    arguments: Sequence[str],
    parse: Callable[[list[str]], list[Any]],
    compose: Callable[[Sequence[str]], Any],
    launch: Launch,
    launch_apart: Launch | None = None,
) -> None:
    """Searches until `hydra.sweeper.n_trials` trials are complete, and reports; exits with code 1 if it could not.

    Args:
      config: the configuration that the command line composes without what is searched.
      arguments: the command line's overrides.
      parse: Hydra's parser of overrides.
      compose: overrides -> one job's configuration.
      launch: lists of overrides, one a job -> Hydra's job returns.
      launch_apart: the same in another process than this one, for more trials than it can hold structures.
    """
    settings = plain(config.hydra.sweeper)
    try:
        check_sweep(config)
        check_workers(config)
        check_settings(config, settings)
        space = read_space(settings["params"], arguments, parse)
        storage = address_of(open_storage(settings["storage"]))
        identities: dict[str, str] = {}
        composer, sources = Composer(compose), Sources()

        def check_point(point: Point) -> None:
            try:
                identities[key_of(point)] = jobs_of(space, point, {}, storage, composer, sources)[0].identity.evaluation
            except UsageError as error:
                for key, value in point.items():
                    if isinstance(value, float) and f"{key}={value} must be a whole number" in str(error):
                        raise UsageError(f"{error}; write {key}=int(interval(...))") from None
                raise

        corner = check_space(space, check_point)
        content = {
            "space": space.described(),
            "metric": settings["metric"],
            "direction": settings["direction"],
            "seeds": list(space.seeds),
            # All that is not searched, by the identity of one of the space's points.
            "rest": identities[key_of(corner)],
        }
        name = settings["study_name"] or default_name(space, content)
        if config.sweep.plan:
            show_search(config, settings, space, find_study(name, storage, content), name)
            return
        with Lock(locks_folder(storage, config.paths.outputs), f"search-{digest([name, storage])}"):
            parts = settings["sampler"], settings["pruner"]
            study = open_study(name, storage, settings["direction"], content, *parts)
            if launch_apart is not None and settings["n_trials"] > MOST_STRUCTURES:
                launch = launch_apart
            run_search(config, settings, space, study, storage, composer, launch)
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except Locked:
        print(f"another process runs the search {name} now", file=sys.stderr)
        sys.exit(1)


def run_search(
    config: Any,
    settings: Mapping[str, Any],
    space: Space,
    study: Any,
    storage: str,
    composer: Composer,
    launch: Launch,
) -> None:
    """Runs what is left of a search, as `search` says."""
    many, left = announced(settings, space, study, study.study_name)
    from vae_lab.search.parent import SearchRun  # imports the tracker: not before the checks are over

    if again := ask_again(study):
        print(f"{again} trials were cut off, and are asked for again", flush=True)
    share_cores(at_once(config.hydra.launcher.get("n_jobs"), settings["n_jobs"], len(space.seeds)))
    command, key = f"{command_of('train')} {shlex.join(sys.argv[1:])}", digest([study.study_name, storage])
    parent = SearchRun(config, study, settings["metric"], command, key)
    trials = Trials(study, storage, settings, space, parent, composer, launch, left)
    began, status, stopped = time.time(), "KILLED", None
    try:
        stopped = trials.run()
        status = "FAILED" if trials.failures and stopped else "FINISHED"
    finally:
        parent.close(status)
        print(f"{completed(study)} of {many} trials complete, after {clock(time.time() - began)}")
        print(f"\nSee it in MLflow:\n  {parent.store.ui_command()}\nsweep: {parent.run.run_id}")
        if completed(study) < many:
            print("The same command again goes on.")
    if stopped:
        print(f"\nThe search has stopped: {stopped}", *trials.failures, sep="\n  ")
    if status == "FAILED":
        sys.exit(1)


def show_search(config: Any, settings: Mapping[str, Any], space: Space, study: Any, name: str) -> None:
    """Prints the trials so far, also of a search that runs now; `study` is None where it has not begun."""
    announced(settings, space, study, name)
    if study is not None:
        from vae_lab.search.parent import trials_so_far

        trials_so_far(config, study, settings["metric"]).show()


def announced(settings: Mapping[str, Any], space: Space, study: Any, name: str) -> tuple[int, int]:
    """Says how many trials a search has in all and how many are left, and returns the two."""
    many = int(min(settings["n_trials"], space.size()))
    left = many if study is None else max(0, many - completed(study))
    print(
        f"search {name}: {many} trials over {', '.join(space.parameters)}; {many - left} complete, {left} to do",
        flush=True,
    )
    return many, left


def at_once(workers: int | None, trials: int, seeds: int) -> int | None:
    """How many jobs run at once: no more than there are workers, nor than a batch has; None without workers."""
    if workers is None:
        return None
    batch = trials * max(1, seeds - 1)  # a trial's first seed comes before the others
    return batch if workers < 0 else min(workers, batch)


def completed(study: Any) -> int:
    """How many different points have a COMPLETE trial."""
    return len({key_of(trial.params) for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))})


def check_settings(config: Any, settings: Mapping[str, Any]) -> None:
    """Raises UsageError where a setting of `hydra.sweeper` is none."""

    def refuse(key: str, must: str) -> None:
        raise UsageError(f"{to_override(f'hydra.sweeper.{key}', settings[key])} must be {must}")

    for key in ("n_trials", "n_jobs"):
        if not isinstance(settings[key], int) or settings[key] < 1:
            refuse(key, "a whole number of at least 1")
    rate = settings["max_failure_rate"]
    if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        refuse("max_failure_rate", "a number from 0 to 1")
    if settings["direction"] not in ("maximize", "minimize"):
        refuse("direction", "maximize or minimize")
    if settings["metric"] not in METRICS:
        refuse(
            "metric", f"one of {', '.join(METRICS)}: a search that looks at test images has none left for its result"
        )
    if not settings["storage"]:
        refuse("storage", "a database as in sqlite:////tmp/optuna.db: jobs report to it, and a search goes on from it")
    if config.sweep.repeat != "missing":
        raise UsageError(f"sweep.repeat={config.sweep.repeat} has no meaning in a search; take another study_name")
    if config.study is not None:
        raise UsageError(
            "hydra/sweeper=optuna searches a space, and the experiment is a study of arms; "
            "leave the experiment out, or take hydra/sweeper=study"
        )
    if settings["sampler"] is None:
        raise UsageError("hydra.sweeper.sampler=null: a search needs one, such as hydra/sweeper/sampler=tpe")
    for part in ("sampler", "pruner"):
        make_part(part, settings[part])


def default_name(space: Space, content: Any) -> str:
    """The experiment's name, else one made of all that makes the search what it is."""
    return Path(space.fixed["experiment"]).name if "experiment" in space.fixed else f"search-{digest(content)}"


def digest(content: Any) -> str:
    """A short hash of JSON content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
