"""A job's side of a search: it reports each epoch to its trial, and stops where the trial is pruned."""

import logging
from typing import Any

from vae_lab.console.progress import Progress
from vae_lab.errors import Pruned

log = logging.getLogger("vae_lab")


def reporting(sweep: Any, epochs: int, progress: Progress) -> Any:
    """What a job calls after each group of steps: its progress, and with `sweep.storage` its trial too.

    Raises:
      Pruned: where the trial has been pruned before.
    """
    return progress if sweep.storage is None else Reports(sweep, epochs, progress)


class Reports:
    """Reports the validation metric of each epoch to the trial of `sweep.storage`, `sweep.study` and `sweep.trial`.

    The job loads the study by itself, wherever it runs.
    """

    def __init__(self, sweep: Any, epochs: int, progress: Progress):
        import optuna

        from vae_lab.search.storage import SETTINGS, load_study

        self.progress, self.epochs = progress, epochs
        self.study = load_study(sweep.study, sweep.storage)
        self.metric = self.study.user_attrs[SETTINGS]["metric"]
        self.number = sweep.trial
        trial = self.study.get_trials(deepcopy=False)[self.number]
        if trial.state == optuna.trial.TrialState.PRUNED:
            raise Pruned("before")
        self.trial = optuna.trial.Trial(self.study, trial._trial_id)
        self.reported = set(trial.intermediate_values)

    def __call__(self, result: Any, metrics: dict[str, float]) -> None:
        """Takes an EpochResult and the newest metrics by name.

        Raises:
          Pruned: where the trial is behind; it is PRUNED in the study then.
        """
        self.progress(result, metrics)
        epoch = round(result.epoch)
        if not result.complete or epoch == self.epochs:  # after the last epoch nothing is left to save
            return
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        try:
            if epoch not in self.reported:
                self.trial.report(metrics[self.metric], epoch)
                self.reported.add(epoch)
            if not self.trial.should_prune():
                return
            self.study.tell(self.number, state=TrialState.PRUNED)
        except UpdateFinishedTrialError:
            return  # a search that was started anew has asked for this point again, and waits for this run
        log.info("%s  pruned at epoch %d  %s %.2f", self.progress.head, epoch, self.metric, metrics[self.metric])
        raise Pruned(f"at epoch {epoch}, with {self.metric} {metrics[self.metric]:.6g}")
