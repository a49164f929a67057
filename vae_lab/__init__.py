"""vae_lab: an experiment-tracking research harness for variational autoencoders."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its notices about absent GPUs; errors are raised anyway


def load_run(run_id: str, *overrides: str, tracking_uri: str | None = None):
    """Brings a finished run back from MLflow; see `vae_lab.run.loaded.load_run`."""
    from vae_lab.quiet_start import quiet_start

    with quiet_start():
        from vae_lab.run.loaded import load_run as load
    return load(run_id, *overrides, tracking_uri=tracking_uri)


def train(*overrides: str):
    """Trains one run with a progress bar and brings it back; a finished run of the same identity is not trained again.

    >>> run = vae_lab.train("prior=mixture", "estimator=monte_carlo", "training.epochs=5")

    Args:
      *overrides: as on the command line.

    Returns:
      What `load_run` returns.
    """
    from vae_lab.quiet_start import quiet_start

    with quiet_start():
        from vae_lab.run.single import train_one
    return train_one(*overrides)


def runs(*words: str, by: str = "run", aside: bool = False):
    """Runs as a pandas DataFrame.

    >>> vae_lab.runs("experiment=quickstart").groupby("arm")["test/elbo"].mean()

    Args:
      *words: "experiment=NAME" or "sweep=PARENT_RUN_ID", all runs without; and where: "tracking.uri=...",
        "tracking.experiment_name=...", "data.dir=...", "data.path=...".
      by: "run": a row a run: arm, seed, status, whether a report counts it and why not, identity, the settings in which
        the runs differ, final metrics. "epoch": a row a run, metric and epoch. "image": a row a run, split and image,
        a column a quantity, in nats.
      aside: also those that a report does not count: stale, failed and running ones.
    """
    from vae_lab.report.frame import runs as read

    return read(*words, by=by, aside=aside)


def compare(one: str, other: str, tracking_uri: str | None = None):
    """In what two runs differ: settings, code, data, environment; and metrics, with intervals over images.

    Args:
      one, other: ids of runs, or how these begin; numbers are the first run's minus the second's.
      tracking_uri: where both are; the default store otherwise.

    Returns:
      A `vae_lab.report.two_runs.TwoRuns`; its `show()` prints it.
    """
    from vae_lab.config.compose import default_tracking_uri
    from vae_lab.report.two_runs import two_runs
    from vae_lab.tracking.store import open_store

    return two_runs(open_store(tracking_uri or default_tracking_uri()), one, other)
