"""The latents of a split, to turn and to ask."""

import html

import numpy as np

from vae_lab.evaluation.pictures.subject import Subject

# Ten hues that stay apart in print (Tableau's).
COLOURS = ["#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#bab0ac"]

PAGE = (
    '<!doctype html><html><head><meta charset="utf-8"><title>{title}</title><style>body {{margin: 0}}</style></head>'
    "<body>{drawn}</body></html>"
)


def latent_space(subject: Subject) -> str | None:
    """Posterior means coloured by label, as an HTML page that brings its own library: it needs no network.

    Two or three latents as they are; of more, the three most active. None of a single latent. The means of discrete
    latents are their probabilities.
    """
    if len(subject.by_activity) < 2:
        return None
    import plotly.graph_objects as go

    means = subject.encoded[0].reshape(len(subject.rows), -1)
    chosen = sorted(subject.by_activity) if means.shape[1] <= 3 else list(subject.by_activity[:3])
    points = means[:, chosen]
    labels = subject.encoded_labels
    classes = [None] if labels is None else list(np.unique(labels))
    marks = {"size": 3 if len(chosen) == 3 else 6, "opacity": 0.8}
    figure = go.Figure()
    for label in classes:
        of_class = slice(None) if label is None else labels == label
        place = dict(zip("xyz", points[of_class].T, strict=False))
        options = {
            "mode": "markers",
            "marker": marks,
            "name": "" if label is None else html.escape(subject.class_name(label)),
            "customdata": subject.rows[of_class],
            "hovertemplate": f"{subject.split} row %{{customdata}}",
        }
        figure.add_trace((go.Scatter3d if len(chosen) == 3 else go.Scatter)(**place, **options))
    names = dict(zip(("xaxis_title", "yaxis_title", "zaxis_title"), map(subject.latent_name, chosen), strict=False))
    solid = {"scene": names, "margin": {"l": 0, "r": 0, "b": 0}}
    plane = {**names, "yaxis_scaleanchor": "x"}
    figure.update_layout(
        title=subject.title("Posterior means"),
        colorway=COLOURS,
        template="plotly_white",
        legend={"title": "class", "itemsizing": "constant"},
        **(solid if len(chosen) == 3 else plane),
    )
    config = {"displaylogo": False, "showSendToCloud": False}
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=True, include_mathjax=False, default_height="100vh", config=config
    )
    return PAGE.format(title=html.escape(subject.title("Posterior means")), drawn=drawn)
