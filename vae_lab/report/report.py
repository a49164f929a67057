"""All that a report says of a study, read from the store once."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vae_lab.errors import UsageError
from vae_lab.report.comparison import Comparison, compare_all, settings_by_arm
from vae_lab.report.curves import Curve, curves_of
from vae_lab.report.family import as_family, p_values
from vae_lab.report.per_image import per_image_values
from vae_lab.report.planned import with_added
from vae_lab.report.selection import StudyRuns, find_runs
from vae_lab.report.sequential import Course, courses_of, judge_by, without_p
from vae_lab.report.sheets import sheets_of
from vae_lab.report.table import METRICS, Table, row_of, table_of_rows
from vae_lab.report.verdicts import Verdict, judge
from vae_lab.study.study import Study
from vae_lab.tracking.records import RunRecord, read_run
from vae_lab.tracking.store import Store

LOST = "†"  # beside what is of the seeds that were not lost
MORE_METRICS = (
    "test/bits_per_dim",
    "test/log_likelihood_rise",
    "test/high_pareto_k",
    "test/approximation_gap",
    "test/amortization_gap",
    "test/active_units",
    "train/elbo",
    "gradient/encoder/variance",
    "gradient/decoder/variance",
    "perf/training_seconds",
)


@dataclass(frozen=True)
class Report:
    """A study's results.

    Attributes:
      study, runs: what was planned, and what is there.
      table: all arms.
      reference: the arm that the others are compared with.
      comparisons: the other arms minus the reference, by the study's metric.
      verdicts: one an expectation.
      curves: by metric, by arm.
      sheets: by kind of picture, by arm: seed, epoch and PNG.
      settings: parameters in which the arms differ: by name, a value an arm.
      courses: of a study to which seeds were added while looking, how each claim went over the seeds.
      columns: those of the table, where they were chosen.
    """

    store: Store
    study: Study
    runs: StudyRuns
    table: Table
    reference: str
    comparisons: list[Comparison]
    verdicts: list[Verdict]
    curves: dict[str, dict[str, Curve]]
    sheets: dict[str, dict[str, tuple[int, int, bytes]]]
    settings: dict[str, list[str]]
    courses: tuple[Course, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def short_table(self) -> Table:
        """The table's columns that fit a screen."""
        return self.table if self.columns else self.table.only([self.study.metric, *METRICS])

    @property
    def judged(self) -> list[Verdict]:
        """The verdicts on expectations that a result can miss."""
        return [verdict for verdict in self.verdicts if verdict.expectation.judged]

    @property
    def finished(self) -> int:
        """How many planned jobs have a finished run."""
        return sum(job.seed in self.runs.counted[job.arm] for job in self.study.jobs)

    @property
    def family(self) -> int:
        """How many differences are corrected together."""
        return len(p_values(self.comparisons, self.verdicts, self.study.metric))

    def mark(self, *arms: str) -> str:
        """What marks a number of some arms: something where one of them lost seeds."""
        return LOST if set(arms) & set(self.runs.lost) else ""

    def named(self, *arms: str) -> str:
        """An arm's name, or a difference's, with its marks."""
        return " − ".join(f"{arm} {self.mark(arm)}".strip() for arm in arms)

    @property
    def notes(self) -> list[str]:
        """What a reader should know of the runs that count and of their comparisons."""
        lost = [
            f"{LOST} {arm}: seed {', '.join(map(str, seeds))} failed and left the mean, so that its numbers, and all "
            "that they are compared in, are of the seeds that did not fail"
            for arm, seeds in self.runs.lost.items()
        ]
        added = sum(job.added for job in self.study.jobs)
        if added:
            lost.append(f"{added} of the runs are of seeds that sweep.until=decided has added to those of the study")
        return lost + self.runs.notes + [note for one in self.comparisons for note in one.notes]


def gather(
    store: Store, study: Study, sweep: str | None = None, reference: str | None = None, columns: Sequence[str] = ()
) -> Report:
    """Reads a study's runs and works its results out.

    Args:
      store: where the runs are.
      study: what was planned.
      sweep: id of the parent run to report; None for all sweeps of the experiment.
      reference: the arm to compare with; None for the first.
      columns: metrics, for the table's columns in this order; none for those that there are of the usual ones.

    Raises:
      UsageError: when the study has no such arm, or no run such a metric.
    """
    if reference is not None and reference not in study.arms:
        raise UsageError(f"reference={reference} is not an arm; there are {', '.join(study.arms)}")
    reference = reference or study.arms[0]
    of_sweep = replace(store, experiment_id=read_run(store, sweep).experiment_id) if sweep is not None else store
    study = with_added(of_sweep, study)
    runs = find_runs(store, study, sweep)
    planned = study.seeds
    check_columns(columns, [run for by_seed in runs.counted.values() for run in by_seed.values()])
    metrics = tuple(dict.fromkeys([study.metric, *METRICS, *MORE_METRICS, *columns]))
    rows = [
        row_of(arm, [by_seed[seed] for seed in sorted(by_seed)], len(planned[arm] | set(by_seed)), metrics)._replace(
            mark=LOST if arm in runs.lost else ""
        )
        for arm, by_seed in runs.counted.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        fetched = Path(folder)
        ahead = runs.all if len(runs.counted) > 1 else []
        values = per_image_values(store, study.metric, fetched, ahead)
        comparisons = compare_all(runs.counted, reference, study.metric, values)
        sheets = sheets_of(store, runs, fetched)
    verdicts = [judge(one, runs.counted, planned) for one in study.expected]
    comparisons, verdicts = as_family(comparisons, verdicts, study.metric, study.smallest_effect)
    courses: tuple[Course, ...] = ()
    if study.sequential:
        courses = courses_of(study, runs.counted)
        verdicts = [judge_by(courses, verdict) for verdict in verdicts]
        comparisons = [without_p(one) for one in comparisons]
    return Report(
        store=store,
        study=study,
        runs=runs,
        table=table_of_rows(rows, columns or metrics),
        reference=reference,
        comparisons=comparisons,
        verdicts=verdicts,
        curves=curves_of(store, study.metric, runs),
        sheets=sheets,
        settings=settings_by_arm(runs.counted),
        courses=courses,
        columns=tuple(columns),
    )


def check_columns(columns: Iterable[str], runs: Iterable[RunRecord]) -> None:
    """Raises UsageError where no finished run has the metric that a column is to show."""
    known = set().union(*(run.metrics for run in runs))
    for name in columns:
        if known and name not in known:
            finals = sorted(metric for metric in known if not metric.startswith(("running/", "val/")))
            raise UsageError(f"columns={name} is no metric of these runs; they have {', '.join(finals)}")
