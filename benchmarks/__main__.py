"""Measures everything and writes docs/benchmarks.md.

python -m benchmarks
python -m benchmarks --quick    (about a minute, small models, printed only: it fails where something is broken)
"""

import argparse
import datetime
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import evaluation, jobs, many_jobs, plain_formulas, report_time, startup, structures, training
from benchmarks.specification import MODELS, QUICK
from vae_lab.tracking.environment import environment

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
ROUNDS = 5
STARTS = 3
PACKAGES = ("tensorflow", "tensorflow-probability", "keras", "jax", "torch", "mlflow", "numpy")

INTRODUCTION = """\
# Benchmarks

`python -m benchmarks` wrote this page; `pip install -e '.[benchmarks,server]'` brings what may be missing.

{machine}

## Training

Every peer does the same: the same layers from the same distribution of weights, a fresh order of all rows each epoch,
a fresh binarization at each visit, one draw of z, the KL in closed form, Adam, and the running means of ELBO, rate and
distortion. Each is a process that is idle between its turns; a round is one turn of each. Times are medians over the
rounds, ratios are taken within a round; compiling is left out. FLOP counts are of the matrix products and convolutions
alone, and the limit is the faster of two compiled float32 products that were measured between the rounds. The last ELBO
is the running mean of the last epoch: peers that do the same work learn alike. The first row is the compiled loop
alone; as a run does it, each turn opens and closes a run in an MLflow store, and keeps metrics, progress and
checkpoints.
"""
EVALUATION = """\
## Log-likelihood

Importance sampling of {model}, K samples an image, in {rounds} rounds between which the machine's products are
measured: medians over the rounds, and shares of the limit within a round. Memory is the peak of the process beyond the
built model, its compiling included: it does not grow with K.
"""
JOBS = """\
## Jobs of a sweep

`{overrides}`

A job's wall time is by its MLflow store: from the end of the job before it, or the start of the sweep, to its own
end. Training is every epoch as long as the median one after the first, and compiling what the epochs took
beyond that. Beside them a job draws pictures, evaluates and logs; the first job of each structure also compiles that,
and the first of all imports TensorFlow. Memory is the most that the process has held up to the job's end.
"""
STRUCTURES = """\
## Many structures

A sweep of tiny models, no two of which share what TensorFlow traces and compiles, one after another where it was
started. What TensorFlow keeps of a structure is never freed, so the process that does the jobs is replaced between two
of them once it has grown by half a gigabyte. Memory is the most that a job's process has held up to the job's end.
"""
REPORTS = """\
## Reports

The report of a study, all its runs in one sqlite store; it reads them itself.
"""
MANY_JOBS = """## Many jobs

A sweep whose jobs have all finished, in one store: its plan (every job composed, checked and identified), what
the same command asks of the store again, two looks of `watch`, and the report. How often the store is asked does not
grow with the jobs, which `tests/test_many_jobs.py` counts.
"""
FORMULAS = """\
## Formulas written otherwise

Three places compute what a plain formula says in another way, and a test holds each to its plain formula. The two are
measured turn by turn in one process: medians, and the ratio within a turn.
"""
STARTUP = """\
## Start-up

Each command {often} in a process of its own, from its start to its end: the median and the highest time, and which
of TensorFlow and MLflow it imports. The plan looks into an MLflow store that is there.
"""


def machine() -> str:
    """The machine's kind, the versions and the date, as Markdown."""
    tags = environment()
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
    add(EVALUATION.format(model="digits mlp" if quick else "MNIST mlp", rounds=evaluation.ROUNDS))
    add(evaluation.report(QUICK["digits mlp"], (50,), 0.2) if quick else evaluation.report())
    overrides = jobs.QUICK if quick else jobs.QUICKSTART
    add(JOBS.format(overrides=" ".join(overrides)))
    add(jobs.table(jobs.measure(overrides)))
    add(STRUCTURES)
    add(structures.report(2) if quick else structures.report())
    add(REPORTS)
    add(report_time.table(report_time.Size(arms=2, seeds=2, epochs=5, images=10) if quick else report_time.Size()))
    add(MANY_JOBS)
    add(many_jobs.table(report_time.Size(arms=2, seeds=2, epochs=5, images=10) if quick else report_time.Size()))
    add(FORMULAS)
    add(plain_formulas.table(1 if quick else plain_formulas.TURNS))
    add(STARTUP.format(often="once" if quick else f"{STARTS} times"))
    add(startup.table(1 if quick else STARTS))
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
