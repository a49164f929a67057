"""The parent run of a search: its jobs are its children; what it found is in its tags and artifacts."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import TrialState

from vae_lab.run.lock import locks_folder
from vae_lab.search.findings import TrialTable, importances, point_text, search_page, trial_table
from vae_lab.study.jobs import CheckedJob
from vae_lab.sweep.doctor import close_dead_runs
from vae_lab.sweep.parent import PLAN_TAG
from vae_lab.tracking.environment import environment
from vae_lab.tracking.records import RunRecord, newest_of, runs_tagged, tag_run
from vae_lab.tracking.store import Store, look_into, open_store
from vae_lab.tracking.tracked_run import TrackedRun

BEST_TAG = "vae_lab.best"


class SearchRun:
    """The parent run, open while its jobs run. A search that is started again goes on in the one it had.

    Args:
      cfg: the search's own configuration.
      study: Optuna's.
      metric: what a trial is worth.
      command: the command line that repeats the search.
      key: what makes two searches the same search.
    """

    def __init__(self, cfg: Any, study: Any, metric: str, command: str, key: str):
        self.cfg, self.study, self.metric = cfg, study, metric
        self.jobs: list[CheckedJob] = []  # that this start has launched
        self.why: dict[str, str] = {}  # by job; what is like a point is known as another trial
        self.store = store_of(cfg)
        tags = {
            "vae_lab.kind": "sweep",
            "vae_lab.command": command,
            "vae_lab.search": study.study_name,
            PLAN_TAG: key,
        }
        before = runs_tagged(self.store, PLAN_TAG, key)
        self.run = TrackedRun(
            self.store, study.study_name, environment() | tags, run_id=before[-1].run_id if before else None
        )

    def records(self) -> list[RunRecord]:
        """The runs that this start's jobs have come to."""
        there = newest_of(self.store, [job.identity.evaluation for job in self.jobs])
        return [record for record in there.values() if record is not None]

    def value(self, jobs: Sequence[CheckedJob]) -> float:
        """The metric at the selected weights, as a mean over a trial's jobs; NaN where a run has none."""
        there = newest_of(self.store, [job.identity.evaluation for job in jobs]).values()
        finished = [run.metrics.get(self.metric, math.nan) for run in there if run and run.status == "FINISHED"]
        return statistics.fmean(finished) if len(finished) == len(jobs) else math.nan

    def close(self, status: str) -> None:
        """Tags the best trial, logs what was found, shows it and ends the run."""
        close_dead_runs(self.store, locks_folder(self.cfg.tracking.uri, self.cfg.paths.outputs), self.run.run_id)
        records = records_of(self.store, self.study)
        table = trial_table(self.study, self.metric, records)
        self.run.text(table.markdown(), "trials.md")
        self.run.text(table.csv(), "trials.csv")
        table.show()
        if self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            best = self.study.best_trial
            self.tag_best(best, records)
            print(f"best: trial {best.number}, {self.metric} {best.value:.2f}, {point_text(best.params)}")
        if shares := importances(self.study):
            self.run.text(json.dumps(shares, indent=1), "importances.json")
            print("importance: " + ", ".join(f"{key} {share:.2f}" for key, share in shares.items()))
        if (content := search_page(self.study, self.metric)) is not None:
            self.run.text(content, "search.html")
        self.run.finish(status)

    def tag_best(self, best: Any, records: Mapping[int, Sequence[RunRecord]]) -> None:
        """Tags the best trial's runs, takes the tag from those that had it, and describes the trial on the parent."""
        for number, runs in records.items():
            for record in runs:
                if number == best.number:
                    tag_run(self.store, record.run_id, {BEST_TAG: "true"})
                elif BEST_TAG in record.tags and record.run_id not in {run.run_id for run in records[best.number]}:
                    tag_run(self.store, record.run_id, {BEST_TAG: "false"})
        self.run.tag(
            {
                "vae_lab.best_trial": str(best.number),
                "vae_lab.best_value": repr(best.value),
                "vae_lab.best_params": json.dumps(best.params),
            }
        )


def store_of(cfg: Any) -> Store:
    """The MLflow store of a search."""
    return open_store(cfg.tracking.uri, cfg.tracking.experiment_name, cfg.tracking.artifacts)


def records_of(store: Store, study: Any) -> dict[int, list[RunRecord]]:
    """By trial number the runs of its seeds, as far as there are any."""
    found = {}
    for trial in study.get_trials(deepcopy=False):
        identities = trial.user_attrs.get("evaluations", [])
        known = newest_of(store, identities).values()
        found[trial.number] = [record for record in known if record is not None]
    return found


def trials_so_far(cfg: Any, study: Any, metric: str) -> TrialTable:
    """The table of a search that is not under way."""
    store = look_into(cfg.tracking.uri, cfg.tracking.experiment_name)
    return trial_table(study, metric, records_of(store, study) if store else {})
