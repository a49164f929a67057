"""What a search has found: its trials as a table, the importance of its parameters, a page of plots."""

import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState
from rich.table import Table as ScreenTable

from vae_lab.console.terminal import console
from vae_lab.report.format import short
from vae_lab.report.table import csv_table, markdown_table
from vae_lab.search.storage import AGAIN

# With fewer complete trials an importance says nothing.
FEWEST_FOR_IMPORTANCE = 4


@dataclass(frozen=True)
class TrialTable:
    """Trials by number; numbers at full precision."""

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def lines(self) -> list[list[str]]:
        """The rows as texts, with numbers as long as one reads them."""
        return [["" if cell is None else short(cell) for cell in row] for row in self.rows]

    def markdown(self) -> str:
        """The table in Markdown."""
        return markdown_table(self.header, self.lines())

    def csv(self) -> str:
        """The table at full precision."""
        return csv_table(self.header, self.rows)

    def show(self) -> None:
        """Prints the table, without ids of runs and without columns that say nothing."""
        lines = self.lines()
        columns = [i for i, name in enumerate(self.header) if name != "run" and any(line[i] for line in lines)]
        screen = ScreenTable(*(self.header[i] for i in columns))
        for line in lines:
            screen.add_row(*(line[i] for i in columns))
        console().print(screen)


def point_text(params: Mapping[str, Any]) -> str:
    """A point in one line."""
    return " ".join(f"{key}={short(value)}" for key, value in params.items())


def trial_table(study: Any, metric: str, records: Mapping[int, Sequence[Any]]) -> TrialTable:
    """The trials of a study with the runs they have come to, by trial number."""
    trials = study.get_trials(deepcopy=False)
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    again = {trial.user_attrs[AGAIN]: trial.number for trial in trials if AGAIN in trial.user_attrs}
    rows = []
    for trial in trials:
        if trial.state == TrialState.WAITING:
            continue
        runs = records.get(trial.number, []) if trial.number not in again else []
        elbos = [run.metrics["test/elbo"] for run in runs if run.status == "FINISHED"]
        rows.append(
            (
                trial.number,
                trial.state.name.lower(),
                trial.value if trial.state == TrialState.COMPLETE else None,
                *(trial.params.get(key) for key in keys),
                trial.last_step if trial.state == TrialState.PRUNED else None,
                statistics.fmean(elbos) if elbos and len(elbos) == len(runs) else None,
                " ".join(run.run_id for run in runs) or None,
                note(trial, again),
            )
        )
    return TrialTable(("trial", "state", metric, *keys, "pruned at epoch", "test/elbo", "run", "note"), tuple(rows))


def note(trial: Any, again: Mapping[int, int]) -> str | None:
    """What is special about a trial, in words; `again`: by which trial one that was cut off goes on."""
    if trial.number in again:
        return f"cut off, goes on as trial {again[trial.number]}"
    if "repeats" in trial.user_attrs:
        return f"repeats trial {trial.user_attrs['repeats']}"
    return trial.user_attrs.get("reason")


def importances(study: Any) -> dict[str, float]:
    """The share of each parameter in the variance of the metric, by fANOVA (Hutter et al. 2014); sums to one.

    Empty where there is too little to tell: few complete trials, one parameter, or one value.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(trials) < FEWEST_FOR_IMPORTANCE or len({trial.value for trial in trials}) == 1:
        return {}
    if sum(len({trial.params[key] for trial in trials}) > 1 for key in trials[0].params) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def search_page(study: Any, metric: str) -> str | None:
    """An HTML page of history, slices and curves by epoch, for which no network is needed; None without a trial."""
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return None
    from optuna import visualization

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, on plots without points
        figures = [
            visualization.plot_optimization_history(study, target_name=metric),
            visualization.plot_slice(study, target_name=metric),
            visualization.plot_intermediate_values(study),
        ]
    parts = [figure.to_html(full_html=False, include_plotlyjs=index == 0) for index, figure in enumerate(figures)]
    title = f"Search {study.study_name}"
    return f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>' + "\n".join(parts)
