"""A sweep from plan to table."""

import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobStatus
from hydra.errors import HydraException
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table as ScreenTable

from vae_lab.checks import check
from vae_lab.compose import plain
from vae_lab.errors import UsageError
from vae_lab.identity import run_hashes
from vae_lab.sweep.plan import Job, plan, to_override
from vae_lab.sweep.progress import duration


def checked_plan(
    study: Mapping[str, Any] | None,
    given: Mapping[str, Sequence[str]],
    compose: Callable[[Sequence[str]], Any],
) -> list[Job]:
    """The jobs of a sweep, each composed and checked.

    Raises:
      UsageError: naming the first job that cannot run, or two that would be the same run.
    """
    jobs = plan(study, given)
    seen: dict[str, str] = {}
    for job in jobs:
        try:
            cfg = compose(job.overrides)
            check(cfg)
        except UsageError as error:
            raise UsageError(f"{error}\n(in job {job.name}, one of {len(jobs)}; nothing has been started)") from None
        except HydraException as error:
            raise UsageError(f"job {job.name}: {error}") from None
        content = plain(without_hydra(cfg))
        identity = run_hashes(content, "", content["training"]["jit"], 0)["vae_lab.evaluation"]
        if identity in seen:
            raise UsageError(
                f"jobs {seen[identity]} and {job.name} are the same run; an option on the command line has "
                "overridden what made them differ"
            )
        seen[identity] = job.name
    return jobs


def without_hydra(cfg: Any) -> Any:
    """A composed configuration without Hydra's own node."""
    return OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"])


def multirun(
    config: Any,
    given: Mapping[str, Sequence[str]],
    compose: Callable[[Sequence[str]], Any],
    launch: Callable[[list[list[str]]], Sequence[Any]],
) -> list[Any]:
    """Plans, checks, runs and reports a sweep; exits with code 1 if a job failed.

    Args:
      config: the configuration that the command line composes without its comma lists.
      given: the command line, by key the texts of its values.
      compose: overrides -> one job's configuration.
      launch: lists of overrides, one a job -> Hydra's job returns.
    """
    study = plain(config.study) if config.study is not None else None
    try:
        jobs = checked_plan(study, given, compose)
        print(f"{len(jobs)} jobs, all checked", flush=True)
        from vae_lab.sweep.parent import SweepRun  # imports the tracker: not before the checks are over

        experiment = given.get("experiment", ["sweep"])
        command = shlex.join(["python", *sys.argv])
        parent = SweepRun(config, Path(experiment[0]).name, command, jobs)
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

    started = time.time()
    common = {"sweep.parent": parent.run.run_id, "sweep.total": len(jobs), "sweep.started": round(started)}
    batch = [
        [
            *job.overrides,
            *(
                to_override(key, value)
                for key, value in (common | {"sweep.arm": job.arm, "sweep.run_name": job.name}).items()
            ),
        ]
        for job in jobs
    ]
    status = "KILLED"
    failed: list[tuple[Job, Any]] = []
    try:
        returns = launch(batch)
        failed = [
            (job, ret._return_value)
            for job, ret in zip(jobs, returns, strict=True)
            if ret.status != JobStatus.COMPLETED
        ]
        status = "FAILED" if failed else "FINISHED"
    finally:
        table = parent.table()
        finished = sum(row.finished for row in table.rows)
        parent.close(table, finished, status)
        show(table, f"{finished} of {len(jobs)} jobs done in {duration(time.time() - started)}")
        print(f"\nSee it in MLflow:\n  {parent.store.ui_command()}\nsweep: {parent.run.run_id}")
    if failed:
        print(f"\n{len(failed)} of {len(jobs)} jobs failed (each has its traceback in MLflow, artifact error.txt):")
        for job, reason in failed:
            print(f"  {job.name}: {type(reason).__name__}: {' '.join(str(reason).split())[:200]}")
        sys.exit(1)
    return list(returns)


def show(table: Any, title: str) -> None:
    """Prints the table."""
    caption = (
        "mean ± standard error over seeds, nats per image" if any(row.finished > 1 for row in table.rows) else None
    )
    screen = ScreenTable(title=title, title_justify="left", caption=caption)
    for column in table.header():
        screen.add_column(column, justify="left" if column == "arm" else "right", no_wrap=True)
    for line in table.lines():
        screen.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 140).print(screen)
