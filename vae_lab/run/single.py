"""One run from Python, as the command line makes it."""

from vae_lab.config.composer import compose_chosen
from vae_lab.config.credentials import kept_apart
from vae_lab.config.settings import settings_of
from vae_lab.errors import UsageError
from vae_lab.run.job import run_job
from vae_lab.run.loaded import LoadedRun, load_run
from vae_lab.study.identity import identity_of
from vae_lab.tracking.records import run_of
from vae_lab.tracking.store import open_store


def train_one(*overrides: str) -> LoadedRun:
    """Trains one run, or finds that it is done, and brings it back; see `vae_lab.train`.

    Raises:
      UsageError: where the configuration cannot run, or is of several.
    """
    cfg, choices = compose_chosen(overrides)
    if cfg.study is not None or cfg.sweep.plan:
        raise UsageError("this trains one run: an experiment that is a study, and a plan, are of the command line")
    run_job(cfg, [kept_apart(word) for word in overrides], choices)
    store = open_store(cfg.tracking.uri, cfg.tracking.experiment_name)
    made = run_of(store, identity_of(settings_of(cfg)).evaluation)
    assert made is not None, "the job has just made it"
    return load_run(made.run_id, tracking_uri=cfg.tracking.uri)
