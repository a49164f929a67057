"""Reports a study from its tracked runs, at any time: also while its sweep is running.

vae-lab report experiment=quickstart
vae-lab report sweep=PARENT_RUN_ID reference=mvn
vae-lab report experiment=quickstart columns=test/elbo,test/rate
vae-lab report experiment=quickstart out=folder export=study.zip tracking.uri=sqlite:////path/mlflow.db

Prints table, differences and verdicts; writes page.html, tables and runs.csv to out (outputs/reports/NAME by default)
and copies them to the newest parent run as the artifact folder report/. columns= chooses the metrics of the table, as
it is printed and in all its files. export= writes a folder or zip that can be read without the database. Of an
experiment, runs count that are of its file as it is now, by the present code and data.
"""

import sys
from pathlib import Path

from vae_lab.console.command import Words, as_started, command

PLACES = ("tracking.uri", "tracking.experiment_name", "data.path")


def report(words: Words) -> int:
    """Reads, prints, writes, and logs to the newest parent run."""
    given = words.given
    if ("experiment" in given) == ("sweep" in given):
        print(as_started(__doc__), file=sys.stderr)
        return 2
    from vae_lab.config.compose import compose_unchecked, home
    from vae_lab.report.export import export, require_folder, require_target
    from vae_lab.report.files import publish
    from vae_lab.report.planned import study_of_sweep
    from vae_lab.report.report import gather
    from vae_lab.report.screen import show_report
    from vae_lab.study.experiments import read_experiment
    from vae_lab.tracking.store import open_store

    experiment, sweep = given.get("experiment"), given.get("sweep")
    folder = Path(given.get("out", Path(home()) / "outputs" / "reports" / (experiment or sweep or "")))
    require_folder(folder, f"out={folder}")
    if "export" in given:
        require_target(Path(given["export"]))
    places = [f"{key}={given[key]}" for key in PLACES if key in given]
    tracking = compose_unchecked(*(place for place in places if place.startswith("tracking"))).tracking
    if experiment:
        study = read_experiment(experiment, places).study
        store = open_store(tracking.uri, tracking.experiment_name, existing=True)
    else:
        store = open_store(tracking.uri)
        study = study_of_sweep(store, sweep or "")
    columns = [name.strip() for name in given.get("columns", "").split(",") if name.strip()]
    found = gather(store, study, sweep, given.get("reference"), columns)
    show_report(found)
    if not found.runs.all:
        print(f"none of its runs has finished, and nothing is written; {study.command} runs them")
        return 1
    print(f"page: {publish(found, folder)}")
    if "export" in given:
        print(f"export: {export(found, Path(given['export']))}")
    return 0


main = command(report, __doc__, ("experiment", "sweep", "out", "export", "reference", "columns", *PLACES))
