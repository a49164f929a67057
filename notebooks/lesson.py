"""What the lessons share: an experiment's arms, trained unless they are, and brought back with their weights."""

import os

import tensorflow as tf

import vae_lab
from vae_lab.binarization import intensities
from vae_lab.config.compose import compose, compose_unchecked, plain
from vae_lab.config.settings import settings_of
from vae_lab.run.job import run_job
from vae_lab.study.identity import identity_of
from vae_lab.study.plan import plan
from vae_lab.tracking.records import run_of
from vae_lab.tracking.store import open_store

# The short forms, most of them on 8 x 8 digits, are trained for so many epochs, some seconds a run.
# VAE_LAB_LESSON=full trains as the experiments say: minutes to an hour, on MNIST and Fashion-MNIST.
LENGTH = os.environ.get("VAE_LAB_LESSON", "30")


def runs(experiment):
    """The first seed of each arm of an experiment, by arm: runs with their trained models.

    The same jobs as of `vae-lab train experiment=NAME`: what is done already is not trained again.
    """
    given = {"experiment": [experiment]}
    if LENGTH != "full":
        given |= {"short": ["true"], "training.epochs": [LENGTH]}
    first = {}
    for job in plan(plain(compose_unchecked(f"experiment={experiment}").study), given):
        first.setdefault(job.arm, job.overrides)
    return {arm: run(*settings) for arm, settings in first.items()}


def run(*settings):
    """A run of these settings, trained unless there is one."""
    cfg = compose(*settings)
    run_job(cfg, list(settings), {})
    made = run_of(store(), identity_of(settings_of(cfg)).evaluation)
    return vae_lab.load_run(made.run_id)


def store():
    """The MLflow store that the runs are in."""
    return open_store(compose_unchecked().tracking.uri, compose_unchecked().tracking.experiment_name)


def first_images(run, count=100):
    """The first test images as the model sees them, [count, H, W, C]."""
    images = run.images.fixed["test"].rows(slice(count))
    return intensities(tf.constant(images.pixels), images.levels)


def terms(run, x, seed=(0, 1)):
    """What the run's own estimator says of images: loss, rate, distortion, elbo and bound, [B] each."""
    return run.program.trainer.estimator(run.model, x, tf.constant(seed))


def look(runs):
    """Prints what MLflow keeps of the runs, and how to see it in a browser."""
    client = store().client
    names = ("test/elbo", "test/rate", "test/distortion", "test/log_likelihood")
    print(f"{'arm':16}" + "".join(f"{name:>22}" for name in names))
    for arm, one in runs.items():
        metrics = client.get_run(one.record.run_id).data.metrics
        print(f"{arm:16}" + "".join(f"{metrics[name]:22.3f}" for name in names))
    last = list(runs.values())[-1].record.run_id
    print("\ntest ELBO again, from the weights:", f"{runs[arm].metrics()['test/elbo']:.3f}")
    print("curves:", ", ".join(sorted(key for key in metrics if key.startswith(("running/", "val/")))))
    print("files:", ", ".join(sorted(file.path for file in client.list_artifacts(last))))
    print(f"\nIn a browser:\n  {store().ui_command()}")
