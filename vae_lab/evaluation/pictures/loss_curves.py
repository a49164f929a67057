"""The course of training."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vae_lab.evaluation.pictures.subject import Subject

QUANTITIES = ("elbo", "rate", "distortion")
STYLES = {"running": ("#0072B2", "-"), "val": ("#D55E00", "--")}
AXIS = {"elbo": "ELBO", "rate": "rate", "distortion": "distortion"}


def loss_curves(subject: Subject) -> Figure | None:
    """ELBO, rate and distortion by epoch, while training and on the validation rows; None without an epoch."""
    if not subject.history.get("running/elbo"):
        return None
    figure = Figure(figsize=(9.6, 3.2))
    axes = figure.subplots(1, len(QUANTITIES))
    for panel, quantity in zip(axes, QUANTITIES, strict=True):
        for split, (colour, line) in STYLES.items():
            points = subject.history.get(f"{split}/{quantity}")
            if points:
                marker = "o" if len(points) < 15 else ""
                panel.plot(*zip(*points, strict=True), line, color=colour, marker=marker, markersize=3, label=split)
        panel.set(title=AXIS[quantity], xlabel="epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("nats per image")
    axes[0].legend(frameon=False)
    figure.subplots_adjust(left=0.09, right=0.98, bottom=0.16, top=0.82, wspace=0.3)
    trained, _ = subject.history["running/elbo"][-1]
    kept = "" if trained == subject.epoch else f", weights of epoch {subject.epoch}"
    figure.suptitle(f"Training: {subject.data}, {trained} epochs{kept}")
    return figure
