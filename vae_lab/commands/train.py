"""Trains one model, or a whole sweep.

vae-lab train data=mnist prior=mixture prior.components=25
vae-lab train -m prior=mvn,mixture estimator=monte_carlo seed=0,1,2
vae-lab train experiment=quickstart
"""

import contextlib
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from vae_lab.config.compose import home, plain
from vae_lab.config.options import CONF
from vae_lab.config.refusals import hydra_arguments, refusal
from vae_lab.console.start_up import require_process
from vae_lab.console.terminal import print_whatever
from vae_lab.errors import UsageError
from vae_lab.run.job import run_job
from vae_lab.run.lock import Locked
from vae_lab.search.pruning import reporting
from vae_lab.study.plan import check_study

FULL_ERROR = "HYDRA_FULL_ERROR"
IN_FULL = os.environ.get(FULL_ERROR) == "1"  # whether whoever started this wants tracebacks

OF_CONFIGURATION = (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError)


def job(cfg) -> float:
    """One job, as Hydra calls it: alone, or of a sweep."""
    asked = HydraConfig.get()
    words = cast(list[str], OmegaConf.to_container(asked.overrides.task, resolve=False))
    sweeping = asked.mode == hydra.types.RunMode.MULTIRUN
    try:
        if not sweeping:
            check_alone(cfg)
        return run_job(cfg, words, dict(asked.runtime.choices), reporting)
    except KeyboardInterrupt:
        if sweeping:
            raise
        sys.exit(130)
    except (UsageError, OmegaConfBaseException) as error:
        if sweeping or (IN_FULL and not isinstance(error, UsageError)):
            raise
        leave_nothing(Path(asked.runtime.output_dir), Path(home()))
        print(error if isinstance(error, UsageError) else refusal(error, words), file=sys.stderr)
        sys.exit(2)  # here: Hydra would write a line of its own about an exception
    except Locked as error:
        if sweeping:
            raise
        print(f"{error}; its result will be in MLflow", file=sys.stderr)
        sys.exit(1)


with_hydra = hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")(job)


def check_alone(cfg) -> None:
    """Raises UsageError where one run is asked for and the experiment is a study."""
    if cfg.study is not None:
        check_study(plain(cfg.study))
        raise UsageError(
            "the experiment is a study of arms, and this would be one run of none of them; write "
            "`hydra: {mode: MULTIRUN}` into its file, or add -m"
        )


def leave_nothing(folder: Path, above: Path) -> None:
    """Removes what Hydra has written of a run that is refused, and the folders that it made for it."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # up to the first that holds something else
        for parent in folder.parents:
            if parent == above or not parent.is_relative_to(above):
                break
            parent.rmdir()


def train(words: list[str]) -> None:
    """Trains as a command line says. What is refused is told in a line, with exit code 2."""
    print_whatever()
    before = os.environ.get(FULL_ERROR)
    try:
        require_process()
        arguments = hydra_arguments(words)
        make_home()
        sys.argv[1:] = arguments
        os.environ[FULL_ERROR] = "1"  # Hydra raises what it would print in ten lines
        with_hydra()
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if IN_FULL:
            raise
        if not isinstance(error, OF_CONFIGURATION) or from_job(error):
            traceback.print_exception(error.with_traceback(from_job(error) or error.__traceback__))
            print(f"\nSet {FULL_ERROR}=1 for Hydra's part of it.", file=sys.stderr)
            sys.exit(1)
        print(refusal(error, words), file=sys.stderr)
        sys.exit(2)
    finally:
        os.environ.pop(FULL_ERROR, None)
        if before is not None:
            os.environ[FULL_ERROR] = before


def from_job(error: BaseException) -> TracebackType | None:
    """The part of a traceback that begins in `job`; None where that had not begun."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_filename != __file__:
        step = step.tb_next
    while step is not None and step.tb_frame.f_code.co_name != "job":
        step = step.tb_next
    return step


def make_home() -> None:
    """Raises UsageError where the folder of all runs is none and cannot be made, or has a name that is looked up."""
    if "${" in home():
        raise UsageError(
            f"VAE_LAB_HOME={home()} cannot be used: what a configuration says as ${{...}} is looked up, also in a "
            "folder's name; name another"
        )
    try:
        Path(home()).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"VAE_LAB_HOME={home()} cannot be used ({error}); name a folder that can be written"
        ) from error


def main(arguments: list[str]) -> int:
    """Trains, where a signal to stop is heard; `--help` prints a page."""
    if set(arguments) & {"--help", "-h"}:
        from vae_lab.commands.train_help import page

        print_whatever()
        print(page(), end="")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a run that is told to stop is KILLED, not RUNNING
    train(arguments)
    return 0
