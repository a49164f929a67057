"""Trains one model, or a whole sweep.

python scripts/train.py data=mnist prior=mixture prior.components=25
python scripts/train.py -m prior=mvn,mixture estimator=monte_carlo seed=0,1,2
python scripts/train.py experiment=quickstart
"""

import signal
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig

from vae_lab.config.compose import home
from vae_lab.config.options import CONF
from vae_lab.config.overrides import with_home
from vae_lab.errors import UsageError
from vae_lab.run.job import run_job
from vae_lab.run.lock import Locked
from vae_lab.search.pruning import reporting


@hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")
def main(cfg):
    job = HydraConfig.get()
    sweeping = job.mode == hydra.types.RunMode.MULTIRUN
    try:
        return run_job(cfg, list(job.overrides.task), dict(job.runtime.choices), reporting)
    except KeyboardInterrupt:
        if sweeping:
            raise
        sys.exit(130)
    except UsageError as error:
        if sweeping:
            raise
        print(error, file=sys.stderr)
        sys.exit(2)
    except Locked as error:
        if sweeping:
            raise
        print(f"{error}; its result will be in MLflow", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a run that is told to stop is KILLED, not RUNNING
    try:
        Path(home()).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"VAE_LAB_HOME={home()} cannot be used ({error}); name a folder that can be written", file=sys.stderr)
        sys.exit(2)
    try:
        sys.argv[1:] = with_home(sys.argv[1:])
        main()
    except KeyboardInterrupt:
        sys.exit(130)
