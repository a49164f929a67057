"""The names of what is evaluated: each is split/name in a run's metrics."""

import re

QUANTITIES = (
    *("elbo", "rate", "distortion", "elbo_se", "log_likelihood", "log_likelihood_se", "bits_per_dim"),
    *("active_units", "index_code_mi", "aggregate_kl"),
    *("ess", "pareto_k", "high_pareto_k", "log_likelihood_rise"),
    *("ais_log_likelihood", "optimal_elbo", "amortized_elbo", "approximation_gap", "amortization_gap"),
    *("full_covariance_elbo", "full_covariance_gap", "flow_elbo", "flow_gap", "bidirectional_gap"),
)
OF_A_LAYER = re.compile(r"(rate|active_units)_[1-9]\d*")
OF_AN_EPOCH = ("bound", "loss")  # beside the first three, while a model trains


def is_count(name: str) -> bool:
    """Whether a quantity is a number of things."""
    return name.startswith("active_units")


def is_quantity(name: str) -> bool:
    """Whether a name is one of these, or that of its standard error."""
    known = (*QUANTITIES, *OF_AN_EPOCH, "posterior_mean")
    return name in known or name.removesuffix("_se") in QUANTITIES or bool(OF_A_LAYER.fullmatch(name))
