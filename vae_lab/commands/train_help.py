"""What `vae-lab train --help` prints: examples, what each axis can be, and the settings that are looked for most."""

import shutil

from vae_lab.config.options import command_of, option_file, option_names
from vae_lab.config.project import use_project

AXES = (
    *("data", "binarization", "encoder", "posterior", "decoder", "likelihood", "prior", "estimator"),
    *("optimizer", "schedule"),
)
EXAMPLES = (
    ("one run", "data=mnist prior=mixture estimator=monte_carlo"),
    ("a sweep, the product of its lists", "-m latent_size=2,8 seed=0,1,2"),
    ("a study from its file", "experiment=quickstart"),
)
SETTINGS = (
    ("latent_size=20", "latents, or channels of a spatial latent"),
    ("seed=0", "initial weights, shuffling and noise of training"),
    ("training.epochs=10", "and training.batch_size, training.select=best, training.early_stopping"),
    ("optimizer.learning_rate=1e-3", "and optimizer.clipnorm"),
    ("estimator.beta=4", "beta-VAE; estimator.warmup_epochs and cycle_epochs anneal the KL"),
    ("estimator.free_bits=0.5", "nats that the rate may have for nothing"),
    ("evaluation.importance_samples=5000", "K of test/log_likelihood"),
    ("data.dir=FOLDER", "where known data sets are; data.train_rows=N takes so many rows"),
    ("tracking.uri=URI", "sqlite:////path/mlflow.db, or a server's http address"),
    ("sweep.plan=true", "what is done and what is left; starts nothing"),
    ("short=true", "an experiment's short form"),
    ("hydra/launcher=workers", "several jobs at once: hydra.launcher.n_jobs=2"),
)


def page() -> str:
    """The page, as wide as the terminal.

    Raises:
      UsageError: where the project's pyproject.toml cannot be understood.
    """
    use_project()
    start, columns = command_of("train"), max(60, shutil.get_terminal_size((120, 24)).columns)
    lines = ["Trains one model, a sweep or an experiment. Settings are given as key=value.", ""]
    width = max(len(words) for _, words in EXAMPLES)
    lines += [f"  {start} {words:{width}}  {what}" for what, words in EXAMPLES]
    for axis in AXES:
        names = option_names(axis)
        width = max(map(len, names))
        lines += ["", f"{axis}=", *(f"  {name:{width}}  {first_line(axis, name)}" for name in names)]
    width = max(len(setting) for setting, _ in SETTINGS)
    lines += ["", "settings", *(f"  {setting:{width}}  {what}" for setting, what in SETTINGS)]
    lines += [
        "",
        f"{len(option_names('experiment'))} experiments: {command_of('reproduce')} --list.",
        "Every setting with its default: --cfg job (--resolve fills in what refers to others).",
        'Completion in bash: eval "$(vae-lab train -sc install=bash)". Hydra\'s own options: --hydra-help.',
    ]
    return "".join(f"{cut(line, columns)}\n" for line in lines)


def first_line(axis: str, name: str) -> str:
    """The first sentence that an option's file says of it; of one that says nothing, the class it names."""
    text, target = option_file(axis, name).read_text(encoding="utf-8"), ""
    comment = []
    for line in text.splitlines():
        if line.startswith("#") and not line.startswith("# @"):
            comment.append(line.lstrip("# "))
        elif comment:
            break
        elif line.startswith("_target_:"):
            target = line.partition(":")[2].strip()
    return " ".join(comment) or target


def cut(line: str, columns: int) -> str:
    """A line that fits."""
    return line if len(line) <= columns else f"{line[: columns - 4].rsplit(' ', 1)[0]} ..."
