"""Measures everything and writes docs/benchmarks.md.

python -m benchmarks
python -m benchmarks --quick    (below a minute, small models, printed only: it fails where something is broken)
"""

import argparse
import datetime
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import evaluation, jobs, training
from benchmarks.specification import MODELS, QUICK
from vae_lab.tracking.provenance import provenance

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
ROUNDS = 5
PACKAGES = ("tensorflow", "tensorflow-probability", "keras", "jax", "torch", "mlflow", "numpy")

INTRODUCTION = """\
# Benchmarks

`python -m benchmarks` wrote this page; `pip install -e '.[benchmarks]'` brings the peers that may be missing.

{machine}

## Training

Every peer does the same: the same layers from the same distribution of weights, a fresh order of all rows each epoch,
a fresh binarization at each visit, one draw of z, the KL in closed form, Adam, and the running means of ELBO, rate and
distortion. Each is a process that is idle between its turns; a round is one turn of each. Times are medians over the
rounds, ratios are taken within a round; compiling is left out. FLOP counts are of the matrix products and convolutions
alone, and the limit is the faster of two compiled float32 products that were measured between the rounds. The last ELBO
is the running mean of the last epoch: peers that do the same work learn alike.
"""
EVALUATION = """\
## Log-likelihood

Importance sampling of {model}, K samples an image. Memory is the peak of the process beyond the built model, its
compiling included: it does not grow with K.
"""
JOBS = """\
## Jobs of a sweep

`{overrides}`, by the times in its MLflow store: a job's wall time is from the end of the job before it, or the start
of the sweep, to its own end. Beside its training it draws pictures, evaluates and logs; the first job of each structure
also compiles that, and the first of all imports TensorFlow.
"""


def machine() -> str:
    """The machine's kind, the versions and the date, as Markdown."""
    tags = provenance()
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    where = f"{tags['machine.kind']}, {tags['machine.cores']} cores, {platform.system()}"
    return f"{datetime.date.today()}. {where}, Python {tags['version.python']}; {', '.join(found)}."


def measure(quick: bool) -> str:
    """The whole page; each part is printed as soon as it is there."""
    parts = []

    def add(text):
        parts.append(text.strip())
        print(parts[-1], end="\n\n", flush=True)

    add(INTRODUCTION.format(machine=machine()))
    for name, model in (QUICK if quick else MODELS).items():
        add(f"### {name}\n\n`{' '.join(model.overrides)}`")
        add(training.table(training.compare(name, model, *((2, 0.2) if quick else (ROUNDS,)))))
    add(EVALUATION.format(model="digits mlp" if quick else "MNIST mlp"))
    add(evaluation.report(QUICK["digits mlp"], (50,), 0.2) if quick else evaluation.report())
    overrides = jobs.QUICK if quick else jobs.QUICKSTART
    add(JOBS.format(overrides=" ".join(overrides)))
    add(jobs.table(jobs.measure(overrides)))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, printed only")
    quick = parser.parse_args().quick
    page = measure(quick)
    if not quick:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
