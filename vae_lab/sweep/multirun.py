"""A sweep from plan to table. What is finished is not done again; what was cut off goes on."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobStatus

from vae_lab.config.checks import note_on_pixels
from vae_lab.config.compose import plain
from vae_lab.config.options import command_of
from vae_lab.console.plan_table import show_adopted, show_plan
from vae_lab.console.terminal import show_table
from vae_lab.errors import UsageError
from vae_lab.report.format import clock
from vae_lab.run.job import MOST_ATTEMPTS, check_sweep
from vae_lab.run.lock import Locked, locks_folder
from vae_lab.study.jobs import CheckedJob, checked_plan
from vae_lab.study.plan import to_override
from vae_lab.sweep.apart import MOST_STRUCTURES
from vae_lab.sweep.until import add_seeds, show_next, until_of
from vae_lab.tracking.standing import adopt_alike, standings, standings_in
from vae_lab.tracking.store import look_into, open_store

# Where every job left is another process's: how long to wait, twice as long each time.
SECONDS_TO_LOOK_AGAIN, MOST_SECONDS_TO_LOOK_AGAIN = 3.0, 60.0


class LaunchFailed(RuntimeError):
    """The launcher gave up again and again, and no job had begun."""


Launch = Callable[[list[list[str]]], Sequence[Any]]


def multirun(
    config: Any,
    given: Mapping[str, Sequence[str]],
    compose: Callable[[Sequence[str]], Any],
    launch: Launch,
    launch_apart: Launch | None = None,
) -> None:
    """Plans, checks, runs and reports a sweep; exits with code 1 if a job failed.

    Args:
      config: the configuration that the command line composes without its comma lists.
      given: the command line, by key the texts of its values.
      compose: overrides -> one job's configuration.
      launch: lists of overrides, one a job -> Hydra's job returns.
      launch_apart: the same in another process than this one, for jobs of more structures than it can hold.
    """
    study = plain(config.study) if config.study is not None else None
    try:
        name = experiment_of(given)
        check_sweep(config)
        check_workers(config)
        jobs = checked_plan(study, given, compose)
        until = until_of(config, name, jobs)
        if note := note_on_pixels(config, [f"{key}=" for key in given]):
            print(note)
        print(f"{len(jobs)} jobs, all checked", flush=True)
        identities = [job.identity for job in jobs]
        if config.sweep.plan:
            found = standings_in(config.tracking.uri, config.tracking.experiment_name, identities)
            show_plan([(job.name, job.epochs, standing) for job, standing in zip(jobs, found, strict=True)])
            if until is not None:
                show_next(until, look_into(config.tracking.uri, config.tracking.experiment_name))
            return
        from vae_lab.sweep.doctor import close_dead_runs
        from vae_lab.sweep.parent import SweepRun

        store = open_store(config.tracking.uri, config.tracking.experiment_name, config.tracking.artifacts)
        if config.sweep.accept == "code":
            show_adopted(adopt_alike(store, identities))
        found, began = standings(store, identities), int(time.time())
        parent = SweepRun(config, name, f"{command_of('train')} {shlex.join(sys.argv[1:])}", jobs, began, found)
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

    share_cores(config.hydra.launcher.get("n_jobs"))
    left = jobs
    if config.sweep.repeat == "missing":
        left = [job for job, standing in zip(jobs, found, strict=True) if not standing.done]
    if len(left) < len(jobs):
        print(f"{len(jobs) - len(left)} of them are done already, {len(left)} to do", flush=True)
    if launch_apart is not None and len({job.structure for job in left}) > MOST_STRUCTURES:
        launch = launch_apart
    status, failed = "KILLED", {}
    try:
        failed = run_all(left, parent, began, launch)
        if until is not None:

            def run_added(added: Sequence[CheckedJob]) -> dict[str, Exception]:
                return run_all(added, parent, began, launch, len(parent.jobs) - len(added), len(parent.jobs))

            failed |= add_seeds(until, parent, config.sweep.accept, run_added)
        status = "FAILED" if failed else "FINISHED"
    finally:
        close_dead_runs(store, locks_folder(config.tracking.uri, config.paths.outputs), parent.run.run_id)
        table = parent.table()
        finished = sum(row.finished for row in table.rows)
        parent.close(table, finished, status)
        show_table(table, f"{finished} of {len(parent.jobs)} jobs done in {clock(time.time() - began)}")
        page, lost = page_of(parent, Path(config.paths.outputs) / "reports" / (name or parent.run.run_id))
        print(f"\nSee it in MLflow:\n  {store.ui_command()}\nsweep: {parent.run.run_id}\npage: {page}")
        if finished < len(parent.jobs):
            repeating = ", without sweep.repeat=all," if config.sweep.repeat == "all" else ""
            print(f"The same command again{repeating} does only what is missing.")
    if failed:
        print(
            f"\n{len(failed)} of {len(parent.jobs)} jobs failed "
            "(one that had begun has its traceback in MLflow, error.txt):"
        )
        for name, reason in failed.items():
            print(f"  {name}: {type(reason).__name__}: {' '.join(str(reason).split())[:200]}")
    if failed or lost:
        sys.exit(1)


def experiment_of(given: Mapping[str, Sequence[str]]) -> str | None:
    """Name of the experiment file that the command line gives, if it gives one."""
    experiments = given.get("experiment", [])
    if len(experiments) > 1:
        raise UsageError(f"experiment={','.join(experiments)}: a sweep is of one study; start one for each")
    return Path(experiments[0]).name if experiments else None


def check_workers(config: Any) -> None:
    """Raises UsageError where the launcher is asked for no number of workers."""
    workers = config.hydra.launcher.get("n_jobs")
    if workers is not None and (not isinstance(workers, int) or workers == 0 or workers < -1):
        raise UsageError(f"hydra.launcher.n_jobs={workers} must be at least 1, or -1 for one worker a core")


def page_of(parent: Any, folder: Path) -> tuple[str, bool]:
    """Where the sweep's report is, or why it is not and how to come to it; and whether that is so.

    The runs are in the store, whatever becomes of their report.
    """
    try:
        return str(report_of(parent, folder)), False
    except Exception as error:  # whatever a report can raise, of files, of its runs or of itself
        again = shlex.join(["python", "scripts/report.py", f"sweep={parent.run.run_id}"])
        told = " ".join(str(error).split())[:200]
        return f"none, the report failed ({type(error).__name__}: {told}); all runs are kept: {again}", True


def report_of(parent: Any, folder: Path) -> Path:
    """Writes the sweep's report into a folder and to its run, and returns the page."""
    from vae_lab.report.files import publish
    from vae_lab.report.planned import study_of_sweep
    from vae_lab.report.report import gather

    study = study_of_sweep(parent.store, parent.run.run_id)
    if study.changed:  # another study than its file's, whose report stays
        of_itself = "short" if study.changed == ("short=true",) else parent.run.run_id[:8]
        folder = folder.with_name(f"{folder.name}-{of_itself}")
    return publish(gather(parent.store, study, parent.run.run_id), folder)


def share_cores(workers: int | None) -> None:
    """Gives each of several workers its share of the cores, by what TensorFlow reads when it is imported."""
    if workers is None or workers == 1:
        return
    cores = os.cpu_count() or 1
    share = max(1, cores // (cores if workers < 0 else workers))
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, str(share))


def run_all(
    left: Sequence[CheckedJob], parent: Any, started: int, launch: Launch, first: int = 0, total: int | None = None
) -> dict[str, Exception]:
    """Launches jobs until none is left: again after a worker has died, and those that another process had.

    Args:
      left: the jobs.
      parent: the sweep's run.
      started: when the sweep was, in seconds since 1970.
      launch: Hydra's launcher.
      first, total: how many jobs this start of the sweep has had before these, and how many it has in all.

    Returns:
      By name, why jobs failed.
    """
    order = list(dict.fromkeys(job.structure for job in left))
    left = sorted(left, key=lambda job: order.index(job.structure))  # a worker keeps what it has compiled
    total = total or len(left)
    numbers = {job.name: number for number, job in enumerate(left, first)}
    failed: dict[str, Exception] = {}
    before, in_vain, pause = come_to(parent), 0, SECONDS_TO_LOOK_AGAIN
    while left:
        batch = [
            overrides_of(job, numbers[job.name], total, parent.run.run_id, started, parent.why.get(job.name))
            for job in left
        ]
        try:
            returns = launch(batch)
        except Exception as error:  # a launcher whose worker was killed gives up all of its jobs
            told = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            now = come_to(parent)
            in_vain = in_vain + 1 if now == before else 0
            if in_vain == MOST_ATTEMPTS:
                return failed | dict.fromkeys((job.name for job in left), LaunchFailed(told))
            before = now
            done = {evaluation for evaluation, status, _ in now if status == "FINISHED"}
            left = [job for job in left if job.identity.evaluation not in done]
            print(f"the launcher gave up, as when a worker has died ({told}); {len(left)} jobs again", flush=True)
            continue
        waiting = []
        for job, ret in zip(left, returns, strict=True):
            if ret.status == JobStatus.COMPLETED:
                continue
            if isinstance(ret._return_value, Locked):
                waiting.append(job)
            else:
                failed[job.name] = ret._return_value
        if waiting == left:
            time.sleep(pause)
            pause = min(2 * pause, MOST_SECONDS_TO_LOOK_AGAIN)
        left = waiting
    return failed


def come_to(parent: Any) -> set[tuple[str, str, str]]:
    """What the jobs of a sweep have come to: the identity of each that has a run, its status, its attempts."""
    return {
        (run.tags["vae_lab.evaluation"], run.status, run.tags.get("vae_lab.attempts", "")) for run in parent.records()
    }


def overrides_of(
    job: CheckedJob, number: int, total: int, parent: str, started: int, why: str | None = None
) -> list[str]:
    """A job's overrides, with what it must know of its sweep."""
    told = {"parent": parent, "number": number, "total": total, "started": started}
    told |= {"arm": job.arm, "run_name": job.name, "identity": job.identity.evaluation, "why": why or None}
    return [*job.overrides, *(to_override(f"sweep.{key}", value) for key, value in told.items())]
