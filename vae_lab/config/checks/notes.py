"""What is no error and yet should be said before work."""

from collections.abc import Sequence

from vae_lab.config.checks.facts import Config, data_fact, fact


def note_on_pixels(cfg: Config, overrides: Sequence[str]) -> str | None:
    """What a user's own pixels become where nobody has chosen it, in one line; None where somebody has.

    Grey and colour pixels of a user's own are drawn as zeros and ones by default, as the papers on MNIST do. An
    experiment's file is taken to choose.

    Args:
      cfg: a checked configuration.
      overrides: the command line's, by which it is known what was chosen.
    """
    chosen = any(entry.lstrip("+").startswith(("binarization=", "experiment=")) for entry in overrides)
    if chosen or "path" not in cfg.data or fact(cfg.binarization, "pixels") != "binary":
        return None
    has = "values in [0, 1]" if data_fact(cfg, "values") else f"{data_fact(cfg, 'levels')} grey levels"
    kept = "normal" if data_fact(cfg, "values") else "discretized_logistic"
    return (
        f"note: data={cfg.data.name} has {has}, and binarization={cfg.binarization.name}, the default, makes zeros and "
        f"ones of them; binarization=none likelihood={kept} keeps them"
    )
