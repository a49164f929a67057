"""Where jobs stand: the run that each has come to, or the run most like it, and what differs."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_lab.study.identity import Identity, changed_files, differences, listed, shown
from vae_lab.tracking.artifacts import identity_of_run
from vae_lab.tracking.records import RunRecord, adopt, newest_of, runs_tagged, runs_with_tag
from vae_lab.tracking.store import Store, look_into

MOST_UNLIKE = 3  # settings in which a run may differ and still be like another


@dataclass(frozen=True)
class Standing:
    """What a job has come to.

    Attributes:
      run: the newest finished run of its identity, else the newest; None where there is none.
      like: without a finished run, the one most like it.
      but: in what that one differs, in words.
    """

    run: RunRecord | None = None
    like: RunRecord | None = None
    but: str = ""

    @property
    def done(self) -> bool:
        """Whether the job has a finished run."""
        return self.run is not None and self.run.status == "FINISHED"

    def why(self) -> str:
        """Why the job is not done although something like it is; empty where there is nothing like it."""
        return f"as run {self.like.run_id[:8]}, but for {self.but}" if self.like is not None else ""


def standings(store: Store | None, jobs: Sequence[Identity]) -> list[Standing]:
    """Where jobs stand in a store, which None says is not there yet."""
    if store is None:
        return [Standing() for _ in jobs]
    there = newest_of(store, [job.evaluation for job in jobs])
    found = [Standing(there[job.evaluation]) for job in jobs]
    if all(one.done for one in found):
        return found
    others = by_choices(run for run in runs_tagged(store, "vae_lab.kind", "run") if "vae_lab.asked" in run.tags)
    return [one if one.done else most_like(store, job, one.run, others) for one, job in zip(found, jobs, strict=True)]


def standings_in(uri: str, experiment_name: str, jobs: Sequence[Identity]) -> list[Standing]:
    """Where jobs stand in the store of an address, which is not made for it."""
    return standings(look_into(uri, experiment_name), jobs)


def adopt_alike(store: Store, jobs: Sequence[Identity]) -> list[tuple[RunRecord, str]]:
    """Lets finished runs of other code stand for jobs of the same settings and data that have none.

    Returns:
      Each such run, and the code in which it differs, in words.
    """
    there = newest_of(store, [job.evaluation for job in jobs])
    missing = [job for job in jobs if (run := there[job.evaluation]) is None or run.status != "FINISHED"]
    alike: dict[str, list[RunRecord]] = {}
    for run in runs_with_tag(store, "vae_lab.asked", *dict.fromkeys(job.asked for job in missing)):
        if run.status == "FINISHED" and run.experiment_id == store.experiment_id:
            alike.setdefault(run.tags["vae_lab.asked"], []).append(run)
    adopted = []
    with tempfile.TemporaryDirectory() as folder:
        for job in missing:
            if runs := alike.get(job.asked):
                before = identity_of_run(store, runs[-1], Path(folder))
                code = listed(changed_files(before, job)) if before else ""
                adopt(store, runs[-1].run_id, job, code)
                adopted.append((runs[-1], code))
    return adopted


def by_choices(runs: Iterable[RunRecord]) -> dict[tuple[str, ...], list[RunRecord]]:
    """Runs by what must be equal in runs that are alike: the chosen options and the seed."""
    found: dict[tuple[str, ...], list[RunRecord]] = {}
    for run in runs:
        found.setdefault(choices(run.params), []).append(run)
    return found


def choices(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The chosen options, by name, and the seed."""
    names = sorted(key for key in settings if key.endswith(".name") and key.count(".") == 1)
    return (*(f"{key}={settings[key]}" for key in names), str(settings.get("seed")))


def most_like(
    store: Store, job: Identity, run: RunRecord | None, others: Mapping[tuple[str, ...], list[RunRecord]]
) -> Standing:
    """The standing of a job that is not done."""
    settings = {**job.trained, **job.evaluated}
    candidates = []
    for other in others.get(choices(settings), []):
        unlike = [key for key in settings if key in other.params and not same(other.params[key], settings[key])]
        if len(unlike) <= MOST_UNLIKE and other.tags.get("vae_lab.evaluation") != job.evaluation:
            candidates.append((-len(unlike), other.status == "FINISHED", other.started, other))
    if not candidates:
        return Standing(run)
    like = max(candidates, key=lambda entry: entry[:3])[3]
    with tempfile.TemporaryDirectory() as folder:
        before = identity_of_run(store, like, Path(folder))
    if before is None or not (but := "; ".join(differences(before, job))):
        return Standing(run)
    return Standing(run, like, but + ("" if like.status == "FINISHED" else f" (which was {like.status})"))


def same(logged: str, value: Any) -> bool:
    """Whether a logged parameter is a setting's value."""
    try:
        return float(logged) == float(value)
    except (TypeError, ValueError):
        return logged.lower() in (str(value).lower(), shown(value))


def other_code(before: Mapping[str, str], now: Identity) -> str:
    """The files in which code differs from that of a plan, in words; `before` holds the plan's digests by file."""
    return listed(sorted(path for path, digest in now.code.items() if before.get(path) != digest))
