"""vae_lab: an experiment-tracking research harness for variational autoencoders."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its notices about absent GPUs; errors are raised anyway


def load_run(run_id: str, *overrides: str, tracking_uri: str | None = None):
    """Brings a finished run back from MLflow; see `vae_lab.run.loaded.load_run`."""
    from vae_lab.console.start_up import quiet_start

    with quiet_start():
        from vae_lab.run.loaded import load_run as load
    return load(run_id, *overrides, tracking_uri=tracking_uri)
