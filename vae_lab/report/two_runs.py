"""Two runs beside each other: in what they differ, and by how much."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from vae_lab.console.terminal import show_lines
from vae_lab.report.comparison import why_not, why_not_by_image
from vae_lab.report.format import interval, number
from vae_lab.report.per_image import per_image_values
from vae_lab.report.statistics import Difference, paired_images
from vae_lab.study.identity import Identity, changed_files
from vae_lab.tracking.artifacts import identity_of_run
from vae_lab.tracking.environment import differences as environment_differences
from vae_lab.tracking.records import RunRecord, read_run, whole_id
from vae_lab.tracking.store import Store

MEASURED = ("train/", "val/", "test/")


@dataclass(frozen=True)
class MetricPair:
    """A metric of two runs.

    Attributes:
      name: of the metric.
      one, other: its two values.
      over_images: one minus other, paired by image; None where that is not possible.
      note: why the two must not be subtracted, or not be paired by image; empty where both may be.
      comparable: whether they may be subtracted.
    """

    name: str
    one: float
    other: float
    over_images: Difference | None = None
    note: str = ""
    comparable: bool = True

    @property
    def difference(self) -> float:
        """One minus other; NaN where that means nothing."""
        return self.one - self.other if self.comparable else float("nan")


@dataclass(frozen=True)
class TwoRuns:
    """In what two runs differ; `one` minus `other` wherever numbers are subtracted.

    Attributes:
      settings: by key, the two values.
      code: files of code that are not the same.
      data: in words, where their pixels are not the same.
      environment: in words: commit, packages, device.
      metrics: those that both have.
    """

    one: RunRecord
    other: RunRecord
    settings: dict[str, tuple[str, str]]
    code: list[str]
    data: str
    environment: list[str]
    metrics: list[MetricPair]

    def show(self) -> None:
        """Prints it."""
        names = [f"{run.name} ({run.run_id[:8]})" for run in (self.one, self.other)]
        if self.settings:
            lines = [[key, *values] for key, values in self.settings.items()]
            show_lines("settings", ["setting", *names], lines, left=3)
        print(f"settings: {'as above' if self.settings else 'the same'}")
        print(f"code: {', '.join(self.code) or 'the same'}")
        print(f"data: {self.data or 'the same'}")
        print(f"environment: {'; '.join(self.environment) or 'the same'}")
        lines = [
            [
                pair.name,
                number(pair.one),
                number(pair.other),
                number(pair.difference, signed=True),
                interval(pair.over_images.low, pair.over_images.high, True) if pair.over_images else "–",
                pair.note,
            ]
            for pair in self.metrics
        ]
        show_lines("metrics", ["metric", *names, "difference", "95% over images", "note"], lines)


def two_runs(store: Store, one: str, other: str) -> TwoRuns:
    """Compares two runs.

    Args:
      store: where both are.
      one, other: their ids, or how these begin.

    Raises:
      UsageError: when one is not there, or is no run.
    """
    a, b = (read_run(store, whole_id(store, run_id)) for run_id in (one, other))
    with tempfile.TemporaryDirectory() as folder:
        before, now = (identity_of_run(store, run, Path(folder)) for run in (a, b))
        metrics = [
            metric_pair(store, a, b, name, Path(folder))
            for name in sorted(a.metrics.keys() & b.metrics.keys())
            if name.startswith(MEASURED)
        ]
    code = changed_files(before, now) if before and now else ["one of them kept no record of its code"]
    return TwoRuns(
        a, b, settings(a, b, before, now), code, data(a, b), environment_differences(a.tags, b.tags), metrics
    )


def settings(a: RunRecord, b: RunRecord, before: Identity | None, now: Identity | None) -> dict[str, tuple[str, str]]:
    """The settings in which two runs differ, the seed among them: by their identities, else by what they logged."""
    if before and now:
        ours, theirs = ({**one.trained, **one.evaluated} for one in (before, now))
    else:
        ours, theirs = ({key: value for key, value in run.params.items() if ".facts." not in key} for run in (a, b))
    keys = sorted(ours | theirs)
    return {
        key: (str(ours.get(key, "none")), str(theirs.get(key, "none")))
        for key in keys
        if ours.get(key, "none") != theirs.get(key, "none")
    }


def data(a: RunRecord, b: RunRecord) -> str:
    """In words, how the two runs' pixels differ; empty where they are the same."""
    one, other = (run.tags.get("vae_lab.data_sha256", "none") for run in (a, b))
    return "" if one == other else f"SHA-256 {one[:12]} -> {other[:12]}"


def metric_pair(store: Store, a: RunRecord, b: RunRecord, name: str, folder: Path) -> MetricPair:
    """One metric of two runs, with the interval of its difference over images where they scored the same ones."""
    values = a.metrics[name], b.metrics[name]
    if refused := why_not(a, b, name):
        return MetricPair(name, *values, note=refused, comparable=False)
    read = per_image_values(store, name, folder)
    images = read(a), read(b)
    if images[0] is None or images[1] is None:
        return MetricPair(name, *values)
    if unpaired := why_not_by_image(a, b, name):
        return MetricPair(name, *values, note=unpaired)
    if images[0].shape != images[1].shape or images[0].ndim != 1:
        return MetricPair(name, *values, note="they left values of other numbers of images")
    return MetricPair(name, *values, over_images=paired_images(images[0], images[1]))
