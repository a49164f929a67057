"""Options that cannot go together, by the facts that they state."""

from vae_lab.config.checks.facts import Config, data_fact, fact, pixel_kind
from vae_lab.errors import UsageError

NEED_VALUES = ("likelihood", "prior")  # axes whose options may state the fact needs_unit_interval


def check_real_values(cfg: Config) -> None:
    values = data_fact(cfg, "values")
    if values is None:
        return
    pixels = fact(cfg.binarization, "pixels")
    if pixels == "continuous" or (pixels == "binary" and values == "real"):
        needs = "whole grey levels" if pixels == "continuous" else "values in [0, 1]"
        raise UsageError(
            f"binarization={cfg.binarization.name} needs {needs}, and data={cfg.data.name} has real ones; "
            "use binarization=none"
        )
    if values == "unit":
        return
    in_unit_interval = {f"{axis}={cfg[axis].name}": fact(cfg[axis], "needs_unit_interval") for axis in NEED_VALUES}
    in_unit_interval["likelihood.loc_activation=sigmoid"] = cfg.likelihood.get("loc_activation") == "sigmoid"
    for option, needed in in_unit_interval.items():
        if needed:
            raise UsageError(
                f"{option} needs pixels in [0, 1], and data={cfg.data.name} has real values of any size; "
                "use likelihood=normal or laplace with likelihood.loc_activation=linear, and a prior without "
                "pseudo-inputs"
            )


def check_pixels(cfg: Config) -> None:
    binary = data_fact(cfg, "levels") == 2 and data_fact(cfg, "values") is None
    if binary and cfg.binarization.name != "none":
        raise UsageError(
            f"binarization={cfg.binarization.name} has nothing to do on data={cfg.data.name}, which is binary already; "
            "use binarization=none"
        )
    grey_allowed = cfg.likelihood.get("allow_grey", False)
    if fact(cfg.likelihood, "needs_binary_data") and pixel_kind(cfg) != "binary" and not grey_allowed:
        raise UsageError(
            f"likelihood={cfg.likelihood.name} needs binary pixels, and data={cfg.data.name} with "
            f"binarization={cfg.binarization.name} has grey ones.\n"
            "Use binarization=dynamic, static or threshold; or likelihood.allow_grey=true to score grey pixels by the "
            "cross-entropy."
        )
    if "levels" in fact(cfg.likelihood, "takes", []) and pixel_kind(cfg) == "continuous":
        if data_fact(cfg, "values") is not None:
            raise UsageError(
                f"likelihood={cfg.likelihood.name} scores grey levels, and data={cfg.data.name} has real values; "
                "use likelihood=normal or laplace"
            )
        raise UsageError(
            f"likelihood={cfg.likelihood.name} scores grey levels, and binarization={cfg.binarization.name} leaves "
            "none; use binarization=none"
        )


def check_kl(cfg: Config) -> None:
    closed_form = fact(cfg.posterior, "closed_form_kl_with", [])
    if fact(cfg.estimator, "needs_closed_form_kl") and cfg.prior.name not in closed_form:
        others = f", or prior={' or prior='.join(closed_form)}" if closed_form else ""
        partner = f"prior={cfg.prior.name}" if closed_form else "any prior"
        raise UsageError(
            f"estimator={cfg.estimator.name} needs KL(posterior, prior) in closed form, which "
            f"posterior={cfg.posterior.name} does not have with {partner}.\n"
            f"Use estimator=monte_carlo{others}."
        )


def check_support(cfg: Config) -> None:
    """A prior's density must be of the same space as the posterior's: `support` is reals unless it is stated.

    A prior that is made of posteriors states `posterior`. One that is made of their top layers needs that by itself.
    """
    over, of_prior = fact(cfg.posterior, "support", "reals"), fact(cfg.prior, "support", "reals")
    if of_prior not in (over, "posterior"):
        raise UsageError(
            f"posterior={cfg.posterior.name} is over {over} and prior={cfg.prior.name} over {of_prior}: there is no KL "
            f"between them; use a prior or a posterior of the other's space"
        )
    if fact(cfg.posterior, "shares_prior") and of_prior == "posterior":
        raise UsageError(
            f"posterior={cfg.posterior.name} is joined to the prior's networks between layers, and "
            f"prior={cfg.prior.name} has none; use prior=hierarchical or hierarchical_vamp"
        )
    if fact(cfg.prior, "needs_top_given_image") and not fact(cfg.posterior, "top_given_image"):
        raise UsageError(
            f"prior={cfg.prior.name} is made of the posterior's top layer given an image alone, which "
            f"posterior={cfg.posterior.name} has no density of; use posterior=ladder, or prior=hierarchical"
        )


def check_gradient(cfg: Config) -> None:
    """An estimator that differentiates through the draw needs a posterior whose draws are differentiable.

    Or one that has a relaxation, if it says so.
    """
    relaxed = fact(cfg.posterior, "relaxed")
    if fact(cfg.estimator, "needs_reparameterized", True) and not fact(cfg.posterior, "reparameterized", True):
        names = "reinforce_loo, vimco or relaxed" if relaxed else "reinforce_loo or vimco"
        raise UsageError(
            f"estimator={cfg.estimator.name} differentiates through the draw of z, and draws from "
            f"posterior={cfg.posterior.name} are not differentiable; use estimator={names}"
        )
    if fact(cfg.estimator, "needs_relaxed") and not relaxed:
        raise UsageError(
            f"estimator={cfg.estimator.name} needs a relaxation of discrete latents, and "
            f"posterior={cfg.posterior.name} has none; use posterior=bernoulli or categorical, or another estimator"
        )


def check_objective(cfg: Config) -> None:
    least = fact(cfg.estimator, "least_samples", 1)
    if cfg.estimator.samples < least:
        raise UsageError(
            f"estimator.samples={cfg.estimator.samples}: estimator={cfg.estimator.name} sets each sample of a group "
            f"against the others; use {least} or more"
        )
    weighing = "analytic_kl or monte_carlo" if fact(cfg.posterior, "reparameterized", True) else "reinforce_loo"
    plain = {"beta": 1, "warmup_epochs": 0, "cycle_epochs": None, "free_bits": 0}
    for key, value in plain.items():
        if not fact(cfg.estimator, "weighs_rate") and cfg.estimator[key] != value:
            raise UsageError(
                f"estimator.{key}={cfg.estimator[key]} weighs the rate, and the bound of "
                f"estimator={cfg.estimator.name} has none of its own; use estimator={weighing}"
            )
    if cfg.estimator.cycle_epochs is not None and not 0 < cfg.estimator.warmup_epochs <= cfg.estimator.cycle_epochs:
        raise UsageError(
            f"estimator.cycle_epochs={cfg.estimator.cycle_epochs} repeats a warm-up of "
            f"estimator.warmup_epochs={cfg.estimator.warmup_epochs}; set that above 0 and at most to the cycle"
        )


def check_densities(cfg: Config) -> None:
    if not fact(cfg.posterior, "fast_log_prob"):
        for axis in ("estimator", "prior"):
            if fact(cfg[axis], "needs_fast_log_prob"):
                raise UsageError(
                    f"{axis}={cfg[axis].name} needs the posterior's density at latents it did not draw, which "
                    f"posterior={cfg.posterior.name} gives one latent at a time; use posterior=mvn_diag, mvn_tril, "
                    "planar or spline"
                )


def check_latent(cfg: Config) -> None:
    for axis in ("posterior", "prior"):
        least = fact(cfg[axis], "least_latents", 1)
        if cfg.latent_size < least:
            raise UsageError(
                f"{axis}={cfg[axis].name} couples halves of the latent, and latent_size={cfg.latent_size} has none; "
                f"use latent_size={least} or more"
            )
    if fact(cfg.posterior, "support") == "sphere" and cfg.latent_size < 2:
        raise UsageError(
            f"posterior={cfg.posterior.name} is on the unit sphere of R^latent_size, and latent_size={cfg.latent_size} "
            "has none; use latent_size=2 or more"
        )
    if not fact(cfg.encoder, "spatial_latent"):
        return
    flat = {f"{axis}={cfg[axis].name}": fact(cfg[axis], "flat_latent") for axis in ("posterior", "prior", "decoder")}
    flat["prior.covariance=full"] = cfg.prior.get("covariance") == "full"
    for option, needs_flat in flat.items():
        if needs_flat:
            raise UsageError(
                f"encoder={cfg.encoder.name} keeps the latent's grid, and {option} needs a flat latent; "
                "use another option there, or encoder=conv"
            )
