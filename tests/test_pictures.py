"""The content of each picture, at exact pixels."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import tensorflow_probability as tfp
from PIL import Image
from scipy import stats
from test_latent import SPATIAL

from vae_lab.binarization import intensities
from vae_lab.config import compose, parts
from vae_lab.config.settings import settings_of
from vae_lab.data import digits
from vae_lab.data.images import Images
from vae_lab.evaluation.pictures import CHEAP, PICTURES, gallery, named
from vae_lab.evaluation.pictures.animation import training
from vae_lab.evaluation.pictures.class_means import class_means
from vae_lab.evaluation.pictures.frames import epoch_frames, fixed_rows, prior_frame
from vae_lab.evaluation.pictures.gallery import DRAWN, final_pictures
from vae_lab.evaluation.pictures.interpolations import interpolations
from vae_lab.evaluation.pictures.latent_density import densities, draws, latent_density
from vae_lab.evaluation.pictures.latent_grid import CELLS_A_SIDE, grid_latents, latent_grid
from vae_lab.evaluation.pictures.latent_space import latent_space
from vae_lab.evaluation.pictures.loss_curves import loss_curves
from vae_lab.evaluation.pictures.prior_samples import prior_samples
from vae_lab.evaluation.pictures.reconstructions import reconstructions
from vae_lab.evaluation.pictures.sheet import (
    BAR,
    BASELINE,
    COLUMNS,
    TEXT,
    VECTOR_CELL,
    VECTOR_MARGIN,
    cells,
    limits_of,
    sheet,
    titled,
)
from vae_lab.evaluation.pictures.subject import Subject
from vae_lab.evaluation.pictures.traversals import traversal_latents, traversals
from vae_lab.evaluation.pictures.views import Views
from vae_lab.numerics import inverse_softplus
from vae_lab.randomness import seed_for

CURVES = {"running/elbo": [(1, -30.0), (2, -25.0)], "val/elbo": [(1, -28.0), (2, -26.0)], "val/rate": [(1, 4.0)]}


def subject_of(*overrides, pixels=None):
    """A subject at initial weights: digits, or pixels [N,H,W,C] in 0, 1 without labels."""
    cfg = compose.compose("training.jit=false", *overrides)
    test = digits.load(None, 237).test
    images = (test.pixels > 8).astype(np.uint8) if pixels is None else pixels
    views = Views(parts.make_model(settings_of(cfg), images.shape[1:], 2), images.shape[1:])
    return Subject(
        views, "digits", "test", 3, Images(images, 2), test.labels if pixels is None else None, 0, (), CURVES
    )


@pytest.fixture(scope="module")
def subject():
    return subject_of("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2")


def constant_posterior(subject, loc, scale):
    """Makes every image's posterior N(loc, diag(scale^2))."""
    kernel, bias = subject.views.model.encoder.layers[-1].weights
    kernel.assign(np.zeros(kernel.shape))
    floor = subject.views.model.posterior.scale_floor
    bias.assign([*loc, *(inverse_softplus(each - floor) for each in scale)])


@pytest.fixture
def bare(monkeypatch):
    """Pictures without their titles, cut into cells [rows, columns, h, w, 3]."""

    def cut(function, subject, columns):
        module = __import__(function.__module__, fromlist=["titled"])
        monkeypatch.setattr(module, "titled", lambda picture, *_, **__: picture)
        picture = function(subject)
        height, width = picture.shape[0] // 58, picture.shape[1] // 58
        assert width == columns
        grid = picture.reshape(height, 58, width, 58, 3).transpose(0, 2, 1, 3, 4)
        return grid[:, :, 1:-1, 1:-1]

    return cut


def assert_shows(found, images):
    """Cells [n,56,56,3] hold images [n,8,8,1] in [0, 1], to a grey level."""
    expected = np.repeat(np.repeat(255 * np.asarray(images), 7, axis=1), 7, axis=2)
    np.testing.assert_allclose(found.astype(float), np.broadcast_to(expected, found.shape), atol=1.01)


def decoded(subject, z):
    return subject.views.model.decode(np.asarray(z, np.float32)).mean().numpy()


def posterior_mean(subject, rows):
    return subject.views.model.encode(intensities(subject.images.pixels[rows], 2)).mean().numpy()


def test_sheet_puts_every_image_in_its_cell():
    rows = [np.full((COLUMNS, 8, 8, 1), value) for value in (0.0, 0.5)]
    rows[1][3] = 0.25
    picture = sheet([cells(row) for row in rows])
    assert picture.shape == (2 * 58, COLUMNS * 58, 3)
    assert (picture[1:57, 1:57] == 0).all()
    assert (picture[59:115, 1:57] == 128).all()
    assert (picture[59:115, 3 * 58 + 1 : 4 * 58 - 1] == 64).all()
    assert (picture[0] == 255).all()


def test_colours_stay_and_other_channels_are_averaged():
    colour = np.zeros((1, 28, 28, 3))
    colour[..., 1] = 1.0
    assert (cells(colour) == [0, 255, 0]).all()
    assert cells(colour).shape == (1, 56, 56, 3)
    assert (cells(np.stack([np.zeros((1, 4, 4)), np.ones((1, 4, 4))], axis=-1)) == 128).all()


def test_vectors_are_bars_from_zero():
    """Of 4 numbers between -1 and 1 in 56 rows: zero is row 28, and a bar reaches to its number's row."""
    vectors = np.array([[1.0, -1.0, 0.0, 0.5]]).reshape(1, 1, 4, 1)
    assert limits_of(Images(vectors, None)) == (-1.0, 1.0)
    (cell,) = cells(vectors, (-1.0, 1.0))
    (height, width), (above, beside) = VECTOR_CELL, VECTOR_MARGIN
    assert cell.shape == (height + 2 * above, width + 2 * beside, 3)
    cell = cell[above:-above, beside:-beside]
    is_bar = (cell == BAR).all(axis=-1)
    spans = [np.flatnonzero(is_bar[:, width // 4 * bar + width // 8])[[0, -1]].tolist() for bar in range(4)]
    assert spans == [[0, 28], [28, 55], [28, 28], [14, 28]]
    assert (cell[28, 0] == BASELINE).all()
    assert limits_of(Images(np.zeros((5, 8, 8, 1), np.uint8), 17)) == (0.0, 1.0)
    assert limits_of(Images(np.array([-2.0, 0.5, 0.0, 3.0]).reshape(1, 2, 2, 1), None)) == (-2.0, 3.0)


def test_title_and_labels_leave_the_sheet_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (116, 580, 3)).astype(np.uint8)
    page = titled(picture, "A title", rows=["first", "second"], columns=list("abcdefghij"))
    left = page.shape[1] - TEXT - 580
    np.testing.assert_array_equal(page[-TEXT - 116 : -TEXT, left:-TEXT], picture)
    assert (page[: 2 * TEXT] < 128).any()
    assert (page[-TEXT - 116 : -TEXT, :left] < 128).any()


def test_labels_wider_than_their_column_stand_upright_and_long_ones_end_in_dots():
    """An upright label is the same ink turned: its rows above the column are as many as it is wide."""
    picture = np.zeros((58, 580, 3), np.uint8)
    above = {}
    for name, label in (("short", "1"), ("wide", "a wide label of a class"), ("long", "l" * 200)):
        page = titled(picture, "", columns=[label] * 10)
        assert (page[-TEXT - 58 : -TEXT, TEXT : TEXT + 580] == 0).all()
        ink = (page[: -TEXT - 58, TEXT : TEXT + 58] < 128).any(axis=2)
        above[name] = np.ptp(np.flatnonzero(ink.any(axis=1))) + 1, np.ptp(np.flatnonzero(ink.any(axis=0))) + 1
    assert above["short"][0] <= TEXT
    assert above["wide"][0] > 58 > TEXT + 4 >= above["wide"][1]
    assert above["long"][0] < 200


def test_letters_beyond_ascii_are_drawn():
    """A font without a letter draws the same box for each."""
    pages = [titled(np.zeros((58, 58, 3), np.uint8), "", columns=[letter]) for letter in "öдλ"]
    assert len({page.tobytes() for page in pages}) == 3


def test_classes_are_called_by_their_names(subject, monkeypatch):
    names = [f"<{label}>" for label in range(10)]
    drawn = {}
    module = __import__(class_means.__module__, fromlist=["titled"])
    monkeypatch.setattr(module, "titled", lambda picture, title, rows, columns: drawn.update(columns=columns))
    class_means(replace(subject, label_names=names))
    assert drawn["columns"] == names
    class_means(subject)
    assert drawn["columns"] == [str(label) for label in range(10)]
    page = latent_space(replace(subject, label_names=names))
    called = [json.loads(f'"{name}"') for name in re.findall(r'"mode":"markers","name":"([^"]*)"', page)]
    assert called == [f"&lt;{label}&gt;" for label in range(10)]


def test_titles_name_data_split_and_epoch(subject):
    other = replace(subject, data="mnist", split="val", epoch=12)
    assert subject.title("Reconstructions") == "Reconstructions: digits, test, epoch 3"
    assert other.title("Class means") == "Class means: mnist, val, epoch 12"
    assert other.title("Draws from the prior", of_images=False) == "Draws from the prior: mnist, epoch 12"
    assert latent_density(other).get_suptitle() == "Latents: mnist, val, epoch 12"
    assert loss_curves(other).get_suptitle() == "Training: mnist, 2 epochs, weights of epoch 12"
    assert loss_curves(replace(other, epoch=2)).get_suptitle() == "Training: mnist, 2 epochs"
    assert re.search("<title>(.*)</title>", latent_space(other)).group(1) == "Posterior means: mnist, val, epoch 12"


@pytest.mark.parametrize(
    ("function", "title"),
    [
        (reconstructions, "Reconstructions: digits, test, epoch 3"),
        (prior_samples, "Draws from the prior: digits, epoch 3"),
        (class_means, "Class means: digits, test, epoch 3"),
        (traversals, "Latent traversals: digits, test, epoch 3"),
        (latent_grid, "Decoder over the prior's quantiles: digits, epoch 3"),
        (interpolations, "Interpolations: digits, test, epoch 3"),
    ],
)
def test_title_is_drawn_above_the_picture(subject, function, title):
    def first_line(page):
        line = page[TEXT : 3 * TEXT - 2]
        left, *_, right = np.flatnonzero((line < 255).any(axis=(0, 2)))
        return line[:, left : right + 1]

    alone = titled(np.full((58, 58, 3), 255, np.uint8), title)
    np.testing.assert_array_equal(first_line(function(subject)), first_line(alone))


def test_frames_are_the_same_again_and_show_the_images(subject):
    frames = epoch_frames(subject.views, subject.images, 0)
    assert set(frames) == {"reconstructions", "prior_samples"}
    first = intensities(subject.images.pixels[fixed_rows(len(subject.images), 2 * COLUMNS)], 2).numpy()[:COLUMNS]
    np.testing.assert_array_equal(frames["reconstructions"][:58], sheet([cells(first)]))
    again = prior_frame(subject.views, (0.0, 1.0), 0)
    np.testing.assert_array_equal(frames["prior_samples"], again)
    assert not np.array_equal(again, prior_frame(subject.views, (0.0, 1.0), 1))


def test_reconstructions_are_the_images_and_the_means_at_the_posterior_mean(subject, bare):
    grid = bare(reconstructions, subject, COLUMNS)
    rows = fixed_rows(len(subject.images), COLUMNS)
    assert_shows(grid[0], subject.images.pixels[rows])
    assert_shows(grid[1], decoded(subject, posterior_mean(subject, rows)))
    assert len(grid) == 5
    assert not np.array_equal(grid[2], grid[3])


def test_reconstructions_at_draws_are_means_at_draws_from_the_posterior(bare):
    """The upper half's logit is z0 and the lower half's z1, so that a picture tells its z, to a grey level."""
    subject = subject_of("encoder.hidden=[16]", "decoder=linear", "latent_size=2")
    loc, scale = np.array([1.0, -0.5]), np.array([0.2, 0.8])
    constant_posterior(subject, loc, scale)
    kernel, bias = subject.views.model.decoder.trainable_variables
    kernel.assign(np.repeat(np.eye(2), 32, axis=1))
    bias.assign(np.zeros(64))
    halves = bare(reconstructions, subject, COLUMNS)[1:, ..., 0].reshape(4, COLUMNS, 2, 28 * 56)
    assert (halves == halves[..., :1]).all()  # means: a draw from p(x|z) would be white and black
    z = np.log(halves[..., 0] / (255.0 - halves[..., 0]))
    np.testing.assert_allclose(z[0], np.broadcast_to(loc, (COLUMNS, 2)), atol=0.02)
    drawn = z[1:].reshape(-1, 2)
    assert len(np.unique(drawn[:, 1])) > 25
    count = len(drawn)
    assert (np.abs(drawn.mean(axis=0) - loc) < 4 * scale / np.sqrt(count)).all()
    assert (np.abs(drawn.std(axis=0, ddof=1) / scale - 1) < 4 / np.sqrt(2 * (count - 1))).all()


def test_draws_of_x_follow_the_decoder_s_probabilities(bare):
    """Certain pixels are drawn as they are; pixels of probability 1/2 are white half of the time, each by itself."""
    subject = subject_of("encoder.hidden=[16]", "decoder=linear", "latent_size=2")
    kernel, bias = subject.views.model.decoder.trainable_variables
    kernel.assign(np.zeros(kernel.shape))
    bias.assign(np.resize([100.0, -100.0, 100.0], 64))
    grid = bare(prior_samples, subject, COLUMNS)
    assert_shows(grid[1], np.broadcast_to(np.resize([1.0, 0.0, 1.0], (1, 8, 8, 1)), (COLUMNS, 8, 8, 1)))
    np.testing.assert_array_equal(grid[1::2], grid[::2])
    bias.assign(np.zeros(64))
    grid = bare(prior_samples, subject, COLUMNS)
    assert (grid[::2] == 128).all()
    white = grid[1::2, :, ::7, ::7, 0].reshape(40, 64) == 255
    assert abs(white.mean() - 0.5) < 4 * 0.5 / np.sqrt(white.size)
    assert (np.abs(white.mean(axis=0) - 0.5) < 5 * 0.5 / np.sqrt(40)).all()
    assert (np.abs(white.mean(axis=1) - 0.5) < 5 * 0.5 / np.sqrt(64)).all()


def test_prior_samples_pair_a_mean_with_a_draw(subject, bare):
    grid = bare(prior_samples, subject, COLUMNS)
    z = subject.views.prior(40, seed_for(0, "prior samples"))
    assert_shows(grid[::2].reshape(40, 56, 56, 3), decoded(subject, z))
    assert set(np.unique(grid[1::2])) == {0, 255}
    assert np.corrcoef(grid[::2].ravel(), grid[1::2].ravel())[0, 1] > 0


def test_class_means_are_decoded_at_the_mean_latent_of_the_class(subject, bare):
    grid = bare(class_means, subject, 10)
    for label in range(10):
        of_class = subject.labels == label
        z = posterior_mean(subject, of_class).mean(axis=0, keepdims=True)
        assert_shows(grid[1, label : label + 1], decoded(subject, z))
        assert_shows(grid[0, label : label + 1], subject.images.pixels[of_class].mean(axis=0, keepdims=True))
    assert class_means(replace(subject, labels=None)) is None


def test_traversals_move_one_latent_over_the_aggregate_posterior(subject, bare):
    chosen, z = traversal_latents(subject)
    q = subject.views.model.encode(intensities(subject.images.pixels, 2))
    loc, scale = q.mean().numpy(), q.stddev().numpy()
    assert list(chosen) == list(np.argsort(-loc.var(axis=0)))
    spread = np.sqrt(loc.var(axis=0) + (scale**2).mean(axis=0))
    for row, latent in enumerate(chosen):
        np.testing.assert_allclose(z[row, 5, latent], loc[:, latent].mean(), atol=0.1)
        np.testing.assert_allclose(z[row, -1, latent] - z[row, 0, latent], 6 * spread[latent], rtol=0.1)
        np.testing.assert_allclose(z[row, :, 1 - latent], loc[0, 1 - latent], rtol=1e-5)
    assert_shows(bare(traversals, subject, 11)[1], decoded(subject, z[1]))


def test_latent_grid_is_at_the_quantiles_of_the_prior(subject, bare):
    z = grid_latents()
    probability = (np.arange(CELLS_A_SIDE) + 0.5) / CELLS_A_SIDE
    np.testing.assert_allclose(stats.norm.cdf(z[0, :, 0]), probability, rtol=1e-10)
    np.testing.assert_allclose(stats.norm.cdf(z[:, 0, 1]), probability[::-1], rtol=1e-10)
    grid = bare(latent_grid, subject, CELLS_A_SIDE)
    lower_right = [[stats.norm.ppf(probability[-1]), stats.norm.ppf(probability[0])]]
    assert_shows(grid[-1, -1:], decoded(subject, lower_right))


def test_interpolations_begin_and_end_at_their_images(subject, bare):
    grid = bare(interpolations, subject, 11)
    first, last = np.split(fixed_rows(len(subject.images), 16), 2)
    starts, ends = posterior_mean(subject, first), posterior_mean(subject, last)
    assert_shows(grid[:, 0], subject.images.pixels[first])
    assert_shows(grid[:, 1], decoded(subject, starts))
    assert_shows(grid[:, 5], decoded(subject, 0.5 * (starts + ends)))
    assert_shows(grid[:, -2], decoded(subject, ends))
    assert_shows(grid[:, -1], subject.images.pixels[last])


def test_film_holds_the_frames_of_training(subject):
    frames = [
        np.random.default_rng(seed).integers(0, 256, (58, 580, 1)).repeat(3, 2).astype(np.uint8) for seed in (0, 1)
    ]
    content = training(replace(subject, frames=[(0, frames[0]), (10, frames[1])]))
    film = Image.open(io.BytesIO(content))
    assert (film.format, film.n_frames, film.info["loop"]) == ("GIF", 2, 0)
    for index, frame in enumerate(frames):
        film.seek(index)
        np.testing.assert_array_equal(np.asarray(film.convert("RGB"))[-TEXT - 58 : -TEXT, TEXT : TEXT + 580], frame)
    assert training(replace(subject, frames=[(0, frames[0])])) is None


def test_density_of_draws_is_a_density_on_the_right_axes():
    rng = np.random.default_rng(0)
    points = [rng.normal(size=(50_000, 2)) * [1.0, 3.0], rng.normal([2.0, 0.0], size=(50_000, 2))]
    found, across, upward = densities(points)
    cell = np.diff(across)[0] * np.diff(upward)[0]
    assert 0.99 < found[0].sum() * cell <= 1.0
    middle = [0.5 * (edges[1:] + edges[:-1]) for edges in (across, upward)]
    exact = stats.norm.pdf(middle[0], 2)[:, None] * stats.norm.pdf(middle[1])
    np.testing.assert_allclose(found[1], exact, atol=0.03)


def test_density_is_of_the_prior_and_of_the_encoded_images(subject):
    names, prior, aggregate = draws(subject)
    assert names == (0, 1)
    assert np.abs(prior.mean(axis=0)).max() < 0.05
    assert np.abs(prior.std(axis=0) - 1).max() < 0.05
    q = subject.views.model.encode(intensities(subject.images.pixels, 2))
    np.testing.assert_allclose(aggregate.mean(axis=0), q.mean().numpy().mean(axis=0), atol=0.1)
    assert [axes.get_title() for axes in latent_density(subject).axes[:2]] == ["prior p(z)", "aggregate posterior q(z)"]


def test_density_panels_show_the_prior_left_and_the_aggregate_posterior_right():
    """Two Gaussians that differ in mean and scale on each axis, found again by the moments of what is drawn."""
    subject = subject_of("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=2", "prior=mvn_tril")
    known = {"prior p(z)": ([2.0, -1.0], [0.4, 1.0]), "aggregate posterior q(z)": ([-1.0, 3.0], [1.2, 0.4])}
    (prior_loc, prior_scale), posterior = known.values()
    constant_posterior(subject, *posterior)
    prior = subject.views.model.prior
    prior.loc.assign(prior_loc)
    diagonal = np.diag([inverse_softplus(scale - prior.scale_floor) for scale in prior_scale]).astype(np.float32)
    prior.raw_scale.assign(tfp.math.fill_triangular_inverse(diagonal))
    panels = latent_density(subject).axes[:2]
    assert [panel.get_title() for panel in panels] == list(known)
    assert [panel.get_xlabel() for panel in panels] == ["z0", "z0"]
    assert panels[0].get_ylabel() == "z1"
    assert panels[0].get_position().x0 < panels[1].get_position().x0
    for panel, (loc, scale) in zip(panels, known.values(), strict=True):
        (mesh,) = panel.collections
        corners, density = np.asarray(mesh.get_coordinates()), np.asarray(mesh.get_array())
        centres = 0.25 * (corners[1:, 1:] + corners[:-1, 1:] + corners[1:, :-1] + corners[:-1, :-1])
        weights = density.ravel() / density.sum()
        mean = weights @ centres.reshape(-1, 2)
        spread = np.sqrt(weights @ (centres.reshape(-1, 2) - mean) ** 2)
        np.testing.assert_allclose(mean, loc, atol=0.1)
        np.testing.assert_allclose(spread, scale, atol=0.1)


def test_loss_curves_are_the_history(subject):
    axes = loss_curves(subject).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes[0].lines}
    assert lines == {"running": [[1, -30], [2, -25]], "val": [[1, -28], [2, -26]]}
    assert [line.get_xydata().tolist() for line in axes[1].lines] == [[[1, 4]]]
    assert loss_curves(replace(subject, history={})) is None


@pytest.mark.parametrize("latents", [2, 4])
def test_latent_space_is_a_page_that_needs_no_network(subject, latents):
    """Its own part names no address, its scripts are in it, and its points are the posterior means."""
    if latents == 4:
        subject = subject_of("encoder.hidden=[16]", "decoder.hidden=[16]", "latent_size=4")
    page = latent_space(subject)
    scripts = re.findall(r"<script[^>]*>", page)
    assert len(scripts) >= 2
    assert not re.search(r"<script[^>]*\ssrc|<link|@import|<img", page[: page.index("plotly.js v")] + page[-200_000:])
    own = page[page.index("Plotly.newPlot(") :]
    assert "http" not in own
    traces, _ = json.JSONDecoder().raw_decode(own[own.index("[") :])

    def numbers(trace, axis):
        return np.frombuffer(base64.b64decode(trace[axis]["bdata"]), trace[axis]["dtype"])

    assert [trace["name"] for trace in traces] == [str(label) for label in range(10)]
    assert sum(len(numbers(trace, "x")) for trace in traces) == 360
    means = posterior_mean(subject, subject.labels == 7)
    chosen = [0, 1] if latents == 2 else np.argsort(-posterior_mean(subject, slice(None)).var(axis=0))[:3]
    for axis, latent in zip("xyz", chosen, strict=False):
        np.testing.assert_allclose(numbers(traces[7], axis), means[:, latent], rtol=1e-4, atol=1e-5)
    assert ("z" in traces[0]) == (latents == 4)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("spatial", {"latent_grid", "training"}),
        ("vector", {"class_means", "training"}),
        ("colour", {"class_means", "training", "latent_grid"}),
        ("one latent", {"latent_density", "latent_grid", "training"}),
        ("flow", {"latent_grid", "training"}),
        ("vamp", {"latent_grid", "training"}),
        ("iaf", {"latent_grid", "training"}),
        ("sphere", {"training"}),
    ],
)
def test_every_kind_of_model_is_drawn(kind, missing):
    rng = np.random.default_rng(0)
    small = ("encoder.hidden=[8]", "decoder.hidden=[8]")
    sampled = (*small, "estimator=monte_carlo", "latent_size=2")
    overrides, pixels = {
        "spatial": ([*SPATIAL, "prior=mixture", "estimator=monte_carlo", "latent_size=2"], None),
        "vector": ([*small, "latent_size=2"], rng.integers(0, 2, (30, 1, 12, 1)).astype(np.uint8)),
        "colour": ([*small, "latent_size=3"], rng.integers(0, 2, (30, 8, 6, 3)).astype(np.uint8)),
        "one latent": ([*small, "latent_size=1"], None),
        "flow": ([*sampled, "prior=flow", "prior.hidden=[8]"], None),
        "vamp": ([*sampled, "prior=vamp", "prior.components=5"], None),
        "iaf": ([*sampled, "posterior=iaf", "posterior.hidden=[8]", "prior=mixture"], None),
        "sphere": ([*small, "posterior=power_spherical", "prior=uniform_sphere", "latent_size=3"], None),
    }[kind]
    drawn = dict(final_pictures(subject_of(*overrides, pixels=pixels), named(True)))
    assert {name.partition(".")[0] for name in drawn} == set(CHEAP) - missing - {"layer_samples"}
    for name, content in drawn.items():
        image = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        assert len(np.unique(image)) > 2, name


def test_pictures_are_those_that_are_wanted(subject):
    assert list(DRAWN) == list(PICTURES)
    assert (named(False), named("all"), named(["training"])) == ((), PICTURES, ("training",))
    assert [name for name, _ in final_pictures(subject, ["loss_curves", "traversals"])] == [
        "loss_curves.png",
        "traversals.png",
    ]
    assert gallery.file_of("page", "<html>") == ("page.html", b"<html>")
