"""Reports a study from its tracked runs, at any time: also while its sweep is running.

python scripts/report.py experiment=quickstart
python scripts/report.py sweep=PARENT_RUN_ID reference=mvn
python scripts/report.py experiment=quickstart out=folder export=study.zip tracking.uri=sqlite:////path/mlflow.db

Prints table, differences and verdicts; writes page.html, tables and runs.csv to out (outputs/reports/NAME by default)
and copies them to the newest parent run as the artifact folder report/. export= writes a folder or zip that can be read
without the database.
"""

import sys
from pathlib import Path

from vae_lab.errors import UsageError

USAGE = __doc__
KEYS = {"experiment", "sweep", "tracking.uri", "out", "export", "reference"}


def main(arguments: list[str]) -> int:
    """Reports; returns 2 for a usage error."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if set(given) - KEYS or "" in given.values() or ("experiment" in given) == ("sweep" in given):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        report(given)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def report(given: dict[str, str]) -> None:
    """Reads, prints, writes, and logs to the newest parent run."""
    from vae_lab.config.compose import default_tracking_uri, home
    from vae_lab.report.export import export
    from vae_lab.report.files import publish
    from vae_lab.report.report import gather
    from vae_lab.report.screen import show_report
    from vae_lab.study.experiments import read_experiment, study_of_sweep
    from vae_lab.tracking.store import open_store

    experiment, sweep = given.get("experiment"), given.get("sweep")
    study = read_experiment(experiment).study if experiment else None
    store = open_store(given.get("tracking.uri", default_tracking_uri()))
    study = study or study_of_sweep(store, sweep or "")
    found = gather(store, study, sweep, given.get("reference"))
    show_report(found)
    folder = Path(given.get("out", Path(home()) / "outputs" / "reports" / (experiment or sweep or "")))
    print(f"page: {publish(found, folder)}")
    if "export" in given:
        print(f"export: {export(found, Path(given['export']))}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
