"""Pictures of a model: one file a picture, from fixed rows and fixed noise, so that they compare over runs."""

# `evaluation.pictures=true` draws these.
CHEAP = (
    "reconstructions",
    "prior_samples",
    "class_means",
    "traversals",
    "latent_grid",
    "interpolations",
    "training",
    "latent_density",
    "loss_curves",
)
# Only when named: 5 MB a run, because the page brings the library that draws it.
PICTURES = (*CHEAP, "latent_space")
