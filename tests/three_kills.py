"""A sweep of two jobs, killed by SIGKILL at three moments that its files tell, beside one that was left alone.

python tests/three_kills.py FOLDER

`kill_sweep.py` in little: TensorFlow is imported once, and each start of the sweep is a fork.
"""

import os
import runpy
import signal
import sys
import time
from pathlib import Path

os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

from kill_sweep import CHECKOUT, differences, runs

SWEEP = [
    "-m",
    "seed=0,1",
    "encoder.hidden=[16]",
    "decoder.hidden=[16]",
    "latent_size=2",
    "training.jit=false",
    "training.epochs=300",
    "training.checkpoint_seconds=0.05",
    "evaluation.images_every=100",
    "evaluation.importance_samples=5",
    "evaluation.pictures=false",
]


def start(home, train):
    """Forks a start of the sweep; returns the process."""
    home.mkdir(exist_ok=True)
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.environ["VAE_LAB_HOME"] = str(home)
        os.chdir(home)
        with (home / "log.txt").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        train(SWEEP)
        code = 0
    except SystemExit as error:
        code = error.code or 0
    finally:
        os._exit(code if isinstance(code, int) else 1)


def checkpoints(home):
    """The checkpoints there are, by the name of their run's folder and their number."""
    return sorted((path.parent.name, int(path.stem)) for path in (home / "outputs" / "checkpoints").rglob("*.npz"))


def killed_when(home, train, moment):
    """Starts the sweep and kills it when its checkpoints tell the moment; returns them."""
    process = start(home, train)
    while not moment(checkpoints(home)):
        ended, _ = os.waitpid(process, os.WNOHANG)
        assert not ended, f"it ended before it was killed: {(home / 'log.txt').read_text()[-3000:]}"
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return checkpoints(home)


def ended(process):
    """The exit code of a process that is left alone."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(folder):
    import vae_lab.run.work  # noqa: F401  TensorFlow, for all forks

    train = runpy.run_path(str(CHECKOUT / "scripts" / "train.py"), run_name="train")["train"]
    alone, killed = folder / "alone", folder / "killed"
    assert ended(start(alone, train)) == 0, (alone / "log.txt").read_text()[-3000:]
    first = killed_when(killed, train, lambda found: found)
    last = max(number for _, number in first)
    job = first[0][0]
    killed_when(killed, train, lambda found: (job, last + 2) in found)
    killed_when(killed, train, lambda found: any(name != job for name, _ in found))
    assert ended(start(killed, train)) == 0, (killed / "log.txt").read_text()[-3000:]
    one, other = runs(alone), runs(killed)
    problems = differences(one, other)
    rows = sum(len(found[0][1]) for found in other.values())
    print(f"3 kills; {len(other)} jobs, {rows} metric rows compared, {len(problems)} differences")
    for problem in problems[:20]:
        print(f"  {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
