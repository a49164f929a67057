"""Whether the inference gaps that are asked for can be worked out."""

from vae_lab.config.checks.facts import Config, fact
from vae_lab.config.checks.reading import is_list, is_number, shown
from vae_lab.errors import UsageError

FAMILIES = ("full_covariance", "flow")


def check_gaps(cfg: Config) -> None:
    """The posterior is over R^L, and the families are some that there are."""
    if "gaps" not in cfg.evaluation:
        return  # a run of before there was such a setting
    wanted = cfg.evaluation.gaps
    if not is_list(wanted.families) or not set(wanted.families) <= set(FAMILIES):
        raise UsageError(
            f"evaluation.gaps.families={shown(wanted.families)} must be a list of: {', '.join(FAMILIES)}; the "
            "posterior's own is always evaluated"
        )
    if not (is_number(wanted.learning_rate) and wanted.learning_rate > 0):
        raise UsageError(f"evaluation.gaps.learning_rate={shown(wanted.learning_rate)} must be a number above 0")
    if not wanted.images:
        return
    if fact(cfg.posterior, "support") is not None:
        raise UsageError(
            f"evaluation.gaps.images={wanted.images} needs latents in R^L, and those of posterior={cfg.posterior.name} "
            f"are in another space ({fact(cfg.posterior, 'support')}); use evaluation.gaps.images=0"
        )
    if len(wanted.families) and fact(cfg.encoder, "spatial_latent"):
        raise UsageError(
            f"evaluation.gaps.families={shown(wanted.families)} takes flat latents, and encoder={cfg.encoder.name} "
            "keeps a grid; use evaluation.gaps.families=[]"
        )
