"""`sweep.until=decided`: after a study's own seeds, more of those arms that an open claim needs, one seed at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vae_lab.config.compose import plain
from vae_lab.console.terminal import show_lines
from vae_lab.errors import UsageError
from vae_lab.report.format import clock, interval
from vae_lab.report.planned import added_tag, changed_settings, with_seed
from vae_lab.report.rounds import Round, Rule, added_seeds, next_round
from vae_lab.report.sequential import Course, claims
from vae_lab.study.jobs import CheckedJob
from vae_lab.study.study import PlannedJob, Study, make_study, seed_in
from vae_lab.tracking.records import RunRecord, newest_of, tag_run
from vae_lab.tracking.standing import adopt_alike
from vae_lab.tracking.store import Store


@dataclass(frozen=True)
class Until:
    """What is to be decided, and by which rule.

    Attributes:
      study: with the planned jobs.
      first: by arm, its first planned job: those that are added are the same with other seeds.
      rule: when to stop.
    """

    study: Study
    first: dict[str, CheckedJob]
    rule: Rule

    def job(self, arm: str, seed: int) -> CheckedJob:
        """An arm's job of a seed, as it would have been planned."""
        of = self.first[arm]
        identity = replace(of.identity, trained=of.identity.trained | {"seed": seed})
        name = f"{of.name.removesuffix(f's{seed_in(of.overrides)}')}s{seed}"
        return replace(of, name=name, overrides=with_seed(of.overrides, seed), identity=identity)

    def next_round(self, store: Store | None, failed: Mapping[str, set[int]] | None = None) -> Round:
        """What the rule asks for by the finished runs of a store, which None says is not there yet."""
        jobs = {(job.arm, job.seed): job.evaluation for job in self.study.jobs}
        for arm in self.first:
            jobs |= {
                (arm, seed): self.job(arm, seed).identity.evaluation for seed in added_seeds(self.study, self.rule)
            }
        there = {} if store is None else newest_of(store, jobs.values())
        runs: dict[str, dict[int, RunRecord]] = {arm: {} for arm in self.first}
        for (arm, seed), evaluation in jobs.items():
            run = there.get(evaluation)
            if run is not None and run.status == "FINISHED":
                runs[arm][seed] = run
        return next_round(self.study, runs, self.rule, failed)


def until_of(config: Any, name: str | None, jobs: Sequence[CheckedJob]) -> Until | None:
    """What a sweep is to decide beyond its own seeds; None where it is not asked to.

    Raises:
      UsageError: where its settings are none, or it has nothing that could be decided.
    """
    asked = config.sweep
    check_values(asked)
    if asked.until is None:
        return None
    content = plain(config.study) if config.study is not None else None
    if content is None or name is None:
        raise UsageError("sweep.until=decided needs a study, whose claims are decided; give experiment=NAME")
    planned = [PlannedJob(job.arm, seed_in(job.overrides), job.overrides, job.identity.evaluation) for job in jobs]
    study = make_study(name, content, planned, "")
    if changed := changed_settings(study, content):
        raise UsageError(
            f"sweep.until=decided: the claims of experiment={name} are of its own settings, and {', '.join(changed)} "
            "changes them; leave that out, or write a study of your own"
        )
    if not claims(study):
        raise UsageError(f"sweep.until=decided: experiment={name} states no claim that is judged; leave it out")
    own = len(set().union(*study.seeds.values()))
    if asked.max_seeds <= own:
        raise UsageError(
            f"sweep.max_seeds={asked.max_seeds} must be above the {own} seeds that the study has itself, for "
            "sweep.until=decided to add any"
        )
    first = {job.arm: job for job in reversed(jobs)}
    rule = Rule(asked.max_seeds, asked.budget_hours, asked.drop == "lost")
    return Until(study, {arm: first[arm] for arm in study.arms}, rule)


def check_values(asked: Any) -> None:
    """Raises UsageError where a setting of the sequential rule is none."""
    if asked.until not in (None, "decided"):
        raise UsageError(f"sweep.until={asked.until} must be decided, or null")
    if type(asked.max_seeds) is not int or asked.max_seeds < 2:
        raise UsageError(f"sweep.max_seeds={asked.max_seeds} must be a whole number of at least 2")
    hours = asked.budget_hours
    if hours is not None and (type(hours) not in (int, float) or not hours > 0):
        raise UsageError(f"sweep.budget_hours={hours} must be a number above 0, or null")
    if asked.drop not in (None, "lost"):
        raise UsageError(f"sweep.drop={asked.drop} must be lost, or null")
    if asked.until and asked.repeat == "all":
        raise UsageError("sweep.until=decided adds to what is there, and sweep.repeat=all makes it anew; say one")


def add_seeds(until: Until, parent: Any, accept: str | None, run_jobs: Any) -> dict[str, Exception]:
    """Runs one round of seeds after another until the rule asks for no more; returns why jobs failed, by name.

    A round whose jobs all fail is the last of this start: what fails them would fail the next ones too.

    Args:
      until: what is to be decided.
      parent: the sweep's run, to which the jobs are added.
      accept: the sweep's own setting.
      run_jobs: jobs -> by name, why they failed.
    """
    failed: dict[str, Exception] = {}
    tried: dict[str, set[int]] = {}
    while True:
        now = until.next_round(parent.store, tried)
        jobs = [until.job(arm, now.seed) for arm in now.arms] if now.seed is not None else []
        if jobs and accept == "code" and adopt_alike(parent.store, [job.identity for job in jobs]):
            continue
        parent.add([*(until.job(arm, seed) for arm, seed in now.asked), *jobs])
        tag_added(until, parent)
        if now.seed is None:
            show_courses(now)
            print(f"no more seeds: {now.ended}", flush=True)
            return failed
        still = sum(one.is_open for one in now.courses)
        print(f"seed {now.seed} of {', '.join(now.arms)}: {still} of {len(now.courses)} claims are open", flush=True)
        lost = run_jobs(jobs)
        tag_added(until, parent)
        for job in jobs:
            if job.name in lost:
                tried.setdefault(job.arm, set()).add(seed_in(job.overrides))
        failed |= lost
        if len(lost) == len(jobs):
            print("no more seeds: no job of the last round has finished", flush=True)
            return failed


def tag_added(until: Until, parent: Any) -> None:
    """Tags the runs that the added jobs have come to, so that every report of the study finds them."""
    key = added_tag(until.study.name)
    beside = {job.identity.evaluation: until.first[job.arm].identity.evaluation for job in parent.added}
    for evaluation, run in newest_of(parent.store, beside).items():
        if run is not None and run.tags.get(key) != beside[evaluation]:
            tag_run(parent.store, run.run_id, {key: beside[evaluation]})


def show_courses(now: Round) -> None:
    """Prints how each claim stands."""
    header, lines = ["claim", "metric", "expected", "state", "seeds", "interval"], []
    for one in now.courses:
        claim, last = one.expectation, one.last
        ends = interval(last.low, last.high, len(claim.arms) > 1) if last else "–"
        lines.append([claim.subject, claim.metric, claim.stated, came_to(one), str(len(one.steps)), ends])
    show_lines("Claims by their confidence sequences", header, lines, left=4)


def came_to(one: Course) -> str:
    """A claim's state in words."""
    if one.refused:
        return f"refused: {one.refused}"
    return f"{one.decision[0]} by {one.decision[1]} seeds" if one.decision else "open"


def show_next(until: Until, store: Store | None) -> None:
    """Prints what the rule would do next, and what that costs."""
    now = until.next_round(store)
    show_courses(now)
    if now.seed is None:
        print(f"no more seeds: {now.ended}")
        return
    cost = f", about {clock(now.seconds)} for one worker, as finished runs took" if now.seconds else ""
    rounds = sum(seed >= now.seed for seed in added_seeds(until.study, until.rule))
    most = f"; up to sweep.max_seeds={until.rule.max_seeds} at most {rounds} such seeds"
    most += f", about {clock(rounds * now.seconds)}" if now.seconds else ""
    print(f"sweep.until=decided, by what has finished: next seed {now.seed} of {', '.join(now.arms)}{cost}{most}")
