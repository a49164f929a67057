"""Everything about a configuration that can be known before any work: no TensorFlow, no data, no tracker.

What is legal follows from the `facts` that the options' YAML files state; tests measure that the facts are true.
"""

from collections.abc import Callable
from pathlib import Path

from vae_lab.config.checks.budget import check_memory
from vae_lab.config.checks.facts import AXES, Config
from vae_lab.config.checks.inference import check_gaps
from vae_lab.config.checks.kinds import check_kinds, check_known, check_nulls, resolved
from vae_lab.config.checks.notes import note_on_pixels as note_on_pixels
from vae_lab.config.checks.optimizers import check_layers, check_optimizer
from vae_lab.config.checks.own_parts import check_own_parts
from vae_lab.config.checks.pairs import (
    check_densities,
    check_gradient,
    check_kl,
    check_latent,
    check_objective,
    check_pixels,
    check_real_values,
    check_support,
)
from vae_lab.config.checks.reading import shown
from vae_lab.config.checks.signatures import check_targets
from vae_lab.config.checks.sizes import (
    check_groups,
    check_rows,
    check_sizes,
    check_upper,
    check_validation,
    check_warmup,
)
from vae_lab.config.checks.targets import check_allowed
from vae_lab.config.checks.values import (
    check_bounds,
    check_choices,
    check_counts,
    check_keras_names,
    check_numbers,
    check_words,
)
from vae_lab.config.credentials import has_password, without_password
from vae_lab.config.options import stated_facts
from vae_lab.data.dataset import identity, load, source_of
from vae_lab.data.verified import verify
from vae_lab.errors import UsageError
from vae_lab.quiet_start import quiet_start


def check_tracking(cfg: Config) -> None:
    """A store is a database in a file or a server; what is kept beside a file lies in a folder."""
    uri, folder, name = (cfg.tracking[key] for key in ("uri", "artifacts", "experiment_name"))
    if not str(name):
        raise UsageError("tracking.experiment_name is empty; name an MLflow experiment")
    if has_password(str(uri)):  # those of the command line are taken out before anything is composed
        raise UsageError(
            f"tracking.uri={without_password(str(uri))}: a file must hold no password; give it on the command line, or "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if str(uri).startswith(("http://", "https://")):
        return
    place = str(uri).removeprefix("sqlite:///")
    if place == str(uri) or place in ("", ":memory:"):
        raise UsageError(
            f"tracking.uri={uri} must be sqlite:/// and a file that stays, or http:// and a server; leave it out for "
            "the file in VAE_LAB_HOME"
        )
    if folder is None or "://" in str(folder):
        raise UsageError(
            f"tracking.artifacts={shown(folder)} must be a folder, beside a database in a file; a server of MLflow "
            "keeps them elsewhere (--artifacts-destination)"
        )


def check_facts(cfg: Config) -> None:
    """The facts of an option are those that its file states: an experiment cannot make them others."""
    for axis in AXES:
        stated = stated_facts(axis, cfg[axis].name)
        for key, value in (cfg[axis].get("facts") or {}).items():
            if stated is not None and stated.get(key) != value:
                option = f"{axis}={cfg[axis].name}"
                raise UsageError(
                    f"{axis}.facts.{key}={value}: facts are what {option} is, and no setting; leave it out"
                )


def check_files(cfg: Config) -> None:
    """Data that is not at hand is loaded now, which downloads it or says what to put where.

    Files without a pinned digest, such as the user's own, are read through, so that what is wrong with them is said;
    those of known data once for each state of theirs.
    """
    source, _ = source_of(cfg.data)
    if "dir" in cfg.data and not source.available(cfg.data.dir):
        if cfg.data.dir is not None and not Path(cfg.data.dir).expanduser().is_dir():
            raise UsageError(f"data.dir={cfg.data.dir} is not a folder; name one, or null to download the data")
        with quiet_start():
            import keras  # noqa: F401 - which downloads it, and brings TensorFlow
        load(cfg.data)
    verify(cfg.data)
    identity(cfg.data)


# Whether options go together, from the options alone.
ACROSS_AXES: tuple[Callable[[Config], None], ...] = (
    check_real_values,
    check_pixels,
    check_support,
    check_gradient,
    check_kl,
    check_objective,
    check_densities,
    check_latent,
    check_groups,
    check_upper,
    check_sizes,
)
CHECKS: tuple[Callable[[Config], None], ...] = (
    check_known,
    check_kinds,
    check_allowed,
    check_targets,
    check_own_parts,
    check_counts,
    check_numbers,
    check_optimizer,
    check_layers,
    check_bounds,
    check_choices,
    check_keras_names,
    check_words,
    check_gaps,
    check_nulls,
    check_tracking,
    *ACROSS_AXES,
    check_rows,
    check_memory,
    check_validation,
    check_warmup,
    check_facts,
    check_files,
)


def check(cfg: Config) -> None:
    """Raises UsageError for the first thing that cannot work."""
    cfg = resolved(cfg)
    for one in CHECKS:
        one(cfg)
