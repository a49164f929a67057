"""The trials of a search: asked for, trained by Hydra's launcher, told."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState

from vae_lab.config.composer import Composer
from vae_lab.errors import UsageError
from vae_lab.search.space import Point, Space
from vae_lab.search.storage import ask, key_of, known_points
from vae_lab.study.code import Sources
from vae_lab.study.jobs import CheckedJob, checked_job
from vae_lab.study.plan import Job, to_override
from vae_lab.sweep.multirun import Launch, run_all

# Trials in a row that end without a new complete one, by which a search sees that there is little left to find ...
MOST_IN_VAIN = 100
# ... or that everything fails.
MOST_FAILURES = 10


def jobs_of(
    space: Space,
    point: Point,
    told: Mapping[str, Any],
    storage: str,
    composer: Composer,
    sources: Sources,
) -> list[CheckedJob]:
    """The jobs of a point, one a seed; the first reports to the trial.

    Raises:
      UsageError: where they cannot run.
    """
    name = f"trial-{told.get('trial')}"
    jobs: list[CheckedJob] = []
    for seed in space.seeds:
        keys = told if jobs else {**told, "storage": storage}
        overrides = [to_override(f"sweep.{key}", value) for key, value in keys.items()]
        job = Job(name, f"{name}-s{seed}", (*space.overrides(point, seed), *overrides))
        jobs.append(checked_job(job, composer, sources))
    return jobs


@dataclass
class Trials:
    """The trials of one start of a search.

    Args:
      study, storage: Optuna's, and its database.
      settings: `hydra.sweeper`, plain.
      space: what is searched.
      parent: the search's MLflow run.
      composer: of its jobs' configurations; launch: as of `multirun`.
      trials_left: how many trials this start has to complete.
    """

    study: Any
    storage: str
    settings: Mapping[str, Any]
    space: Space
    parent: Any
    composer: Composer
    launch: Launch
    trials_left: int
    completed: int = 0  # by this start
    in_vain: int = 0  # trials in a row without a new complete one
    sources: Sources = field(default_factory=Sources)
    failures: list[str] = field(default_factory=list)  # in words, those in a row
    started: float = field(default_factory=time.time)

    def run(self) -> str | None:
        """Asks, trains and tells until enough trials are complete; returns why it stopped before, if it did."""
        while self.completed < self.trials_left:
            if len(known_points(self.study)) >= self.space.size():
                return "each point of the space is complete or pruned"
            many = min(self.settings["n_jobs"], self.trials_left - self.completed)
            trials = [ask(self.study, self.settings["sampler"], self.space.parameters) for _ in range(many)]
            failed = self.batch(trials)
            if failed / many > self.settings["max_failure_rate"]:
                rate = self.settings["max_failure_rate"]
                return f"{failed} of {many} trials failed, and hydra.sweeper.max_failure_rate={rate}"
            if len(self.failures) >= MOST_FAILURES:
                return f"{len(self.failures)} trials in a row failed"
            if self.in_vain >= MOST_IN_VAIN:
                return f"{self.in_vain} trials in a row brought no new complete one"
        return None

    def batch(self, trials: Sequence[Any]) -> int:
        """Brings trials to their ends, and tells the study; returns how many failed."""
        known = known_points(self.study)
        fresh: dict[str, tuple[Any, list[CheckedJob]]] = {}
        repeats = []
        for trial in trials:
            key = key_of(trial.params)
            if key in known or key in fresh:
                repeats.append(trial)
                continue
            try:
                told = {"study": self.study.study_name, "trial": trial.number}
                jobs = jobs_of(self.space, trial.params, told, self.storage, self.composer, self.sources)
            except UsageError as error:  # two choices that do not go together: the sampler learns to avoid them
                trial.set_user_attr("reason", str(error))
                self.tell(trial, "PRUNED")
                continue
            trial.set_user_attr("evaluations", [job.identity.evaluation for job in jobs])
            fresh[key] = trial, jobs
        failed = self.train(list(fresh.values()))
        known = known_points(self.study)
        for trial in repeats:
            if (before := known.get(key_of(trial.params))) is None:
                self.tell(trial, "FAIL")  # the same point, beside it in this batch, has failed
                continue
            trial.set_user_attr("repeats", before.number)
            self.tell(trial, before.state.name, before.value)
        return failed

    def train(self, fresh: Sequence[tuple[Any, list[CheckedJob]]]) -> int:
        """Runs the jobs of trials. The first seed reports to the trial; the others follow where it was not pruned."""
        failed: dict[str, Exception] = {}
        for reporting in (True, False):
            running = [(trial, jobs) for trial, jobs in fresh if self.is_running(trial) and jobs[0].name not in failed]
            chosen = [job for _, jobs in running for job in (jobs[:1] if reporting else jobs[1:])]
            if chosen:
                self.parent.jobs += chosen
                seeds = len(self.space.seeds)
                first, total = self.completed * seeds + (0 if reporting else len(running)), self.trials_left * seeds
                failed |= run_all(chosen, self.parent, round(self.started), self.launch, first, total)
        failures = 0
        for trial, jobs in fresh:
            errors = [failed[job.name] for job in jobs if job.name in failed]
            value = math.nan if errors else self.parent.value(jobs)
            if not self.is_running(trial):
                self.in_vain += 1
                self.failures.clear()
            elif math.isnan(value):
                reason = "its value is not a number"
                if errors:
                    reason = f"{type(errors[0]).__name__}: {' '.join(str(errors[0]).split())[:300]}"
                trial.set_user_attr("reason", reason)
                self.tell(trial, "FAIL")
                self.failures.append(f"trial {trial.number}: {reason}")
                failures += 1
            else:
                self.tell(trial, "COMPLETE", value)
                self.completed += 1
                self.in_vain = 0
                self.failures.clear()
        return failures

    def is_running(self, trial: Any) -> bool:
        """Whether a trial has not been pruned by its job."""
        return not self.study.get_trials(deepcopy=False)[trial.number].state.is_finished()

    def tell(self, trial: Any, state: str, value: float | None = None) -> None:
        """Tells how a trial ended. What is no COMPLETE trial of a new point is counted as in vain."""
        self.study.tell(trial.number, value if state == "COMPLETE" else None, state=TrialState[state])
        self.in_vain += 1
