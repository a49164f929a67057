"""Whether two arms' values are of the same thing: the same pixels, the same kind of number, the same estimate."""

from vae_lab.tracking.records import RunRecord

# Binarizations whose test pixels are equal: `dynamic` differs from `static` in the training pixels alone.
TEST_PIXELS = {"dynamic": "pixels drawn once", "static": "pixels drawn once", "threshold": "thresholded pixels"}
GREY = {"none": "grey levels", "dequantized": "dequantized pixels"}
OF_LOG_LIKELIHOOD = ("log_likelihood", "nll", "bits_per_dim")


def why_not(a: RunRecord, b: RunRecord, metric: str) -> str | None:
    """Why the values of a metric of two runs must not be subtracted; None where they may be.

    Bits per dim are made to compare probabilities of grey levels with densities of dequantized ones.
    """
    if metric.startswith("perf/"):
        return None
    for what, of_run in (
        ("data (SHA-256)", lambda run: run.tags.get("vae_lab.data_sha256", "")[:12]),
        ("version of the numerics", lambda run: run.tags.get("vae_lab.numerics", "")),
        ("test pixels", lambda run: pixels_seen(run, metric)),
        ("kind of likelihood", lambda run: likelihood_kind(run, metric)),
        ("K of the log-likelihood", lambda run: importance_samples(run, metric)),
    ):
        one, other = of_run(a), of_run(b)
        if one != other:
            return f"{what}: {one or 'not stated'} against {other or 'not stated'}"
    return None


def pixels_seen(run: RunRecord, metric: str = "") -> str:
    """What the model sees of a test image."""
    name = run.params.get("binarization.name", run.tags.get("option.binarization", ""))
    if metric.endswith("bits_per_dim") and name in GREY:
        return "the data's levels"
    if name == "none" and run.params.get("data.facts.levels") == "2":
        return "binary data"
    return TEST_PIXELS.get(name) or GREY.get(name, name)


def likelihood_kind(run: RunRecord, metric: str = "") -> str:
    """Densities, probabilities, or a cross-entropy of grey pixels, which is neither."""
    if metric.endswith("bits_per_dim"):
        return ""
    discrete = run.params.get("likelihood.facts.discrete")
    if discrete is None:
        return ""
    if discrete != "True":
        return "densities"
    if run.params.get("likelihood.allow_grey") == "True" and pixels_seen(run) in GREY.values():
        return "cross-entropy of grey pixels"
    return "probabilities"


def importance_samples(run: RunRecord, metric: str) -> str:
    """K of an importance-weighted estimate; empty for metrics without one."""
    return run.params.get("evaluation.importance_samples", "") if metric.endswith(OF_LOG_LIKELIHOOD) else ""
