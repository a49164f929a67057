"""Reading runs back."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vae_lab.errors import UsageError
from vae_lab.study.identity import Identity
from vae_lab.tracking import database
from vae_lab.tracking.server_history import rows_of_runs
from vae_lab.tracking.store import Store, database_path
from vae_lab.tracking.tracked_run import PARENT_TAG

RUNS_A_PAGE = 1000
STOPPED_IN_WARMUP = "vae_lab.stopped_in_warmup"  # the epoch, where early stopping did not wait for its end
LENGTH_OF_AN_ID = 32  # of MLflow's
# Under these tags a finished run stands for the identities that it was adopted for, beside its own.
ADOPTED_CODE = "vae_lab.adopted.code"
ADOPTED = {"vae_lab.training": "vae_lab.adopted.training", "vae_lab.evaluation": "vae_lab.adopted.evaluation"}
EITHER = {own: (own, adopted) for own, adopted in ADOPTED.items()}  # the tags that give a run an identity


@dataclass(frozen=True)
class RunRecord:
    """What a run left in the store; of each metric its last value."""

    run_id: str
    name: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    experiment_id: str
    started: int  # milliseconds since 1970
    ended: int | None
    artifacts: str  # URI of the run's artifact folder

    def other_code(self, training: str) -> str:
        """In which files the code that made the weights differs from that of a training they are taken for.

        Empty where it does not: where they were made by it, and not adopted, or evaluated after they were.
        """
        inherited = ADOPTED["vae_lab.training"] not in self.tags
        own = self.tags.get("vae_lab.training") == training and not inherited
        return "" if own else self.tags.get(ADOPTED_CODE, "")

    @property
    def seconds(self) -> float:
        """How long the run took, or has taken so far."""
        return (self.ended or time.time() * 1000) / 1000 - self.started / 1000

    @property
    def trained_by(self) -> str:
        """Id of the run that trained the weights: another one where these were only evaluated."""
        return self.tags.get("vae_lab.trained_by", self.run_id)


def runs_tagged(store: Store, tag: str, value: str) -> list[RunRecord]:
    """The runs of the store's experiment that have a tag, first started first."""
    return [run for run in runs_with_tag(store, tag, value) if run.experiment_id == store.experiment_id]


def newest_finished(records: list[RunRecord]) -> RunRecord | None:
    """Of several runs of one job the newest that has finished, else the newest; None of none."""
    ordered = sorted(records, key=lambda record: record.status == "FINISHED")
    return ordered[-1] if ordered else None


def runs_of(store: Store, tag: str, identities: Iterable[str]) -> dict[str, list[RunRecord]]:
    """By identity, the runs of the store's experiment that have it or were adopted for it, first started first.

    Args:
      tag: "vae_lab.training" or "vae_lab.evaluation".
      identities: as these tags have them. However many, the store is asked twice.
    """
    identities = list(identities)
    there = [run for key in EITHER[tag] for run in runs_with_tag(store, key, *identities)]
    own = {run.run_id: run for run in there if run.experiment_id == store.experiment_id}
    return by_identity(own.values(), tag, identities)


def by_identity(runs: Iterable[RunRecord], tag: str, identities: Iterable[str]) -> dict[str, list[RunRecord]]:
    """By identity, those of the runs that have it or were adopted for it, first started first."""
    found: dict[str, list[RunRecord]] = {identity: [] for identity in identities}
    for run in sorted(runs, key=lambda run: run.started):
        for identity in {run.tags[key] for key in EITHER[tag] if key in run.tags} & found.keys():
            found[identity].append(run)
    return found


def newest_of(store: Store, evaluations: Iterable[str], since: int = 0) -> dict[str, RunRecord | None]:
    """What evaluations have come to, whichever sweep it was made by: the newest finished run, else the newest.

    Args:
      evaluations: their identities.
      since: seconds since 1970; runs that started before do not count.
    """
    return {
        identity: newest_finished([run for run in runs if run.started >= 1000 * since])
        for identity, runs in runs_of(store, "vae_lab.evaluation", evaluations).items()
    }


def run_of(store: Store, evaluation: str, since: int = 0) -> RunRecord | None:
    """What one evaluation has come to, as `newest_of` says."""
    return newest_of(store, [evaluation], since)[evaluation]


def adopt(store: Store, run_id: str, identity: Identity, code: str) -> None:
    """Lets a finished run stand for another identity than its own; `code` says in which files they differ."""
    tags = {ADOPTED[tag]: identity.tags()[tag] for tag in ADOPTED}
    tag_run(store, run_id, tags | {ADOPTED_CODE: code or "unknown"})


def failures_since(store: Store, parent: str, since: float) -> int:
    """How many jobs of a sweep have failed since a moment (seconds since 1970)."""
    failed = [run for run in children(store, parent) if run.status == "FAILED"]
    return sum(run.ended is not None and run.ended >= since * 1000 for run in failed)


def running(store: Store, parent: str | None = None) -> list[RunRecord]:
    """The runs that say they are RUNNING: all jobs and sweeps of the store's experiment, or a sweep's jobs."""
    if parent is not None:
        there = children(store, parent)
    else:
        there = [run for kind in ("run", "sweep") for run in runs_tagged(store, "vae_lab.kind", kind)]
    return [run for run in there if run.status == "RUNNING"]


def close_run(store: Store, run_id: str, status: str) -> None:
    """Gives a run that nobody works on its true status."""
    store.client.set_terminated(run_id, status=status)


def tag_run(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    """Sets tags of a run that is over."""
    for key, value in tags.items():
        store.client.set_tag(run_id, key, value)


def children(store: Store, parent: str) -> list[RunRecord]:
    """The jobs of a sweep, first started first."""
    return runs_with_tag(store, PARENT_TAG, parent)


def runs_with_tag(store: Store, key: str, *values: str) -> list[RunRecord]:
    """All runs of the store, whatever their MLflow experiment, whose tag has one of these values.

    First started first. A server is asked once, too: it knows no list of values, so that of several it is asked for
    every run that has the tag.
    """
    if path := database_path(store.uri):
        return [RunRecord(**fields) for fields in database.read_runs(path, key, values)]
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    wanted = f"= '{values[0]}'" if len(values) == 1 else "LIKE '%'"
    return [run for run in _searched(store, experiments, f"tags.`{key}` {wanted}") if run.tags[key] in values]


def _searched(store: Store, experiments: Sequence[str], wanted: str) -> list[RunRecord]:
    found, token = [], None
    while True:
        page = store.client.search_runs(
            experiments,
            filter_string=wanted,
            order_by=["attributes.start_time ASC"],
            max_results=RUNS_A_PAGE,
            page_token=token,
        )
        found += [_record(run) for run in page]
        if not (token := page.token):
            return found


def changed_runs(store: Store, key: str, since: int) -> list[RunRecord]:
    """The runs of a server's experiment with a tag that say RUNNING or have ended since a moment (ms since 1970)."""
    there = f"tags.`{key}` LIKE '%' AND attributes."
    return [
        run
        for wanted in ("status = 'RUNNING'", f"end_time >= {since}")
        for run in _searched(store, [str(store.experiment_id)], there + wanted)
    ]


def metric_history(store: Store, ids: Sequence[str], key: str) -> dict[str, dict[int, float]]:
    """A metric's values by step, of each run that has it; of a step that was logged twice the first value."""
    if path := database_path(store.uri):
        return database.read_history(path, ids, key)
    history: dict[str, dict[int, float]] = {}
    rows = rows_of_runs(store.client, store.uri, ids, key)
    for run_id, _, step, value in sorted(rows, key=lambda row: row[1]):
        history.setdefault(run_id, {}).setdefault(step, database.number(value))
    return history


def rows_of_run(store: Store, run_id: str) -> list[list]:
    """All metric rows of a run, as key, value, milliseconds since 1970 and step."""
    keys = read_run(store, run_id).metrics
    points = [point for key in keys for point in store.client.get_metric_history(run_id, key)]
    return [[point.key, point.value, point.timestamp, point.step] for point in points]


def read_run(store: Store, run_id: str) -> RunRecord:
    """One run.

    Raises:
      UsageError: when the store has no such run.
    """
    if not store.writable:
        for record in runs_and_sweeps(store):
            if record.run_id == run_id:
                return record
        raise not_there(store, run_id)
    from mlflow.exceptions import MlflowException

    try:
        return _record(store.client.get_run(run_id))
    except MlflowException as error:
        raise not_there(store, run_id) from error


def not_there(store: Store, run_id: str) -> UsageError:
    """What to say of a run that a store has not."""
    return UsageError(f"run={run_id} is not in {store.uri}; name another run or another tracking.uri")


def runs_and_sweeps(store: Store) -> list[RunRecord]:
    """All that there is."""
    return [run for kind in ("run", "sweep") for run in runs_with_tag(store, "vae_lab.kind", kind)]


def whole_id(store: Store, beginning: str) -> str:
    """The id of the run whose id begins so, where that is a run and no sweep.

    Raises:
      UsageError: when the store has none, or several.
    """
    if len(beginning) == LENGTH_OF_AN_ID:
        found = [read_run(store, beginning)]
    else:
        found = [run for run in runs_and_sweeps(store) if run.run_id.startswith(beginning)]
    if not found:
        raise not_there(store, beginning)
    if len(found) > 1:
        first = ", ".join(run.run_id for run in found[:3])
        raise UsageError(f"run={beginning} begins the ids of {len(found)} runs ({first}); write more of one")
    if found[0].tags.get("vae_lab.kind") == "sweep":
        raise UsageError(f"run={beginning}: it is a sweep, whose jobs are runs; name a FINISHED run")
    return found[0].run_id


def _record(run) -> RunRecord:
    return RunRecord(
        run.info.run_id,
        run.info.run_name,
        run.info.status,
        dict(run.data.params),
        {key: database.number(value) for key, value in run.data.metrics.items()},
        dict(run.data.tags),
        run.info.experiment_id,
        run.info.start_time,
        run.info.end_time,
        run.info.artifact_uri,
    )
