"""Evaluates a run again, without training: a finished one, or what another has come to at its last checkpoint.

vae-lab evaluate run=RUN_ID
vae-lab evaluate run=RUN_ID evaluation.importance_samples=5000 tracking.uri=sqlite:////path/mlflow.db
vae-lab evaluate run=RUN_ID splits=train,val,test

As it was: each metric as logged and as computed now from the weights; exit code 1 where they differ, with what differs
in code and environment. With other settings of the evaluation: as a run of its own in the same store, unless there is
one already. `splits` names those that get a log-likelihood.
"""

import sys
from typing import Any

from vae_lab.console.command import Words, as_started, command

SAME = 1e-6  # relative


def evaluate(words: Words) -> int:
    """Evaluates; see above."""
    given = dict(words.given)
    run_id, uri = given.pop("run", None), given.pop("tracking.uri", None)
    if splits := given.pop("splits", None):
        evaluated = ",".join(dict.fromkeys([*splits.split(","), "test"]))
        given |= {"evaluation.splits": f"[{evaluated}]", "evaluation.log_likelihood_of": f"[{splits}]"}
    if not run_id:
        print(as_started(__doc__), file=sys.stderr)
        return 2
    from vae_lab.config.compose import default_tracking_uri
    from vae_lab.study.identity import PLACES
    from vae_lab.tracking.records import whole_id
    from vae_lab.tracking.store import open_store

    changes = [f"{key}={value}" for key, value in given.items()]
    store = open_store(uri or default_tracking_uri())
    run_id = whole_id(store, run_id)
    if any(not key.startswith(PLACES) for key in given):
        from vae_lab.run.reevaluate import evaluate_run

        show(evaluate_run(store, run_id, changes))
        return 0
    return 0 if same_again(store, run_id, changes) else 1


def show(record: Any) -> None:
    """Prints the metrics of a run's splits."""
    from vae_lab.console.terminal import show_lines

    lines = [[key, f"{value:.6f}"] for key, value in sorted(record.metrics.items()) if not key.startswith("perf/")]
    show_lines(f"{record.name} ({record.run_id})", ["metric", "value"], lines)


def same_again(store: Any, run_id: str, changes: list[str]) -> bool:
    """Prints each metric as logged and as computed now; whether they agree to a millionth."""
    import vae_lab
    from vae_lab.console.terminal import show_lines
    from vae_lab.run.device import device_tags
    from vae_lab.tracking.environment import differences, environment

    loaded = vae_lab.load_run(run_id, *changes, tracking_uri=store.uri)
    finished = loaded.record.status == "FINISHED"  # a checkpoint may lie within an epoch, and its like was not logged
    lines, alike = [], True
    for key, now in loaded.metrics().items():
        logged = loaded.record.metrics.get(key) if finished else None
        difference = abs(now - logged) / max(abs(logged), 1e-12) if logged is not None else None
        alike = alike and (difference is None or difference <= SAME)  # which NaN is not
        told = ["" if logged is None else f"{logged:.6f}", f"{now:.6f}"]
        lines.append([key, *told, "" if difference is None else f"{difference:.1e}"])
    title = f"{loaded.record.name} ({run_id}), epoch {loaded.epoch}"
    show_lines(title, ["metric", "logged", "now", "relative difference"], lines)
    here = environment() | device_tags(loaded.settings)
    for other in [*loaded.changed, *differences(loaded.record.tags, here)]:
        print(f"not as when it was made: {other}")
    return alike


main = command(evaluate, __doc__, keys=None)
