"""Files of a user's own: what is read, how it is split, what is said of bad files, what the checks know of them."""

import csv
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vae_lab.config import parts
from vae_lab.config.checks.facts import bits_offset, pixel_kind
from vae_lab.config.compose import compose
from vae_lab.config.options import option_names, read_option
from vae_lab.config.settings import settings_of
from vae_lab.data import own
from vae_lab.data.dataset import facts_of, identity, load
from vae_lab.errors import UsageError
from vae_lab.study.identity import identity_of

GREY = np.random.default_rng(0).integers(0, 256, (40, 6, 6)).astype(np.uint8)
LABELS = np.arange(40) % 7
REAL = np.random.default_rng(1).normal(size=(40, 9))


def option(name, path, **settings):
    return dict(read_option("data", name)) | {"path": str(path)} | settings


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def table(path, rows, header=None):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*([header] if header else []), *rows])
    return path


def kaggle(path, images=GREY, labels=LABELS):
    header = ["label", *(f"pixel{n}" for n in range(images[0].size))]
    return table(path, np.column_stack([labels, images.reshape(len(images), -1)]).tolist(), header)


def folder(path, images=GREY, suffix="png", by_label=False):
    for row, image in enumerate(images):
        place = path / str(LABELS[row]) if by_label else path
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{row:03d}.{suffix}")
    return path


def everything(dataset):
    return np.concatenate([split.pixels for split in dataset.splits().values()])


def in_file_order(dataset):
    """Rows and labels as they were before the random split, for rows that all differ."""
    rows = {image.tobytes(): row for row, image in enumerate(GREY)}
    order = [rows[image.tobytes()] for image in everything(dataset)]
    labels = np.concatenate([split.labels for split in dataset.splits().values()])
    return sorted(order), labels.tolist() == LABELS[order].tolist()


def files_of_each_kind(tmp_path):
    return {
        "npz": npz(tmp_path / "x.npz", images=GREY, labels=LABELS),
        "csv": kaggle(tmp_path / "x.csv"),
        "image_folder": folder(tmp_path / "x", by_label=True),
    }


@pytest.mark.parametrize("name", ["npz", "csv", "image_folder"])
def test_rows_and_labels_come_back_once_each_in_three_splits(name, tmp_path):
    chosen = option(name, files_of_each_kind(tmp_path)[name], validation_fraction=0.25)
    dataset = load(chosen)
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [27, 9, 4]
    assert dataset.train.pixels.shape[1:] == (6, 6, 1)
    assert dataset.train.pixels.dtype == np.uint8
    assert in_file_order(dataset) == (list(range(40)), True)
    assert dataset.sha256 == identity(chosen)
    facts = facts_of(chosen)
    assert facts == {"image_shape": [6, 6, 1], "levels": 256, "training_rows": 27, "validation_rows": 9}


def test_the_three_kinds_hold_the_same_pixels(tmp_path):
    """The folder's files are in another order: by label."""
    found = {name: load(option(name, path)) for name, path in files_of_each_kind(tmp_path).items()}
    assert found["npz"].sha256 == found["csv"].sha256 != found["image_folder"].sha256


def test_split_seed_decides_and_null_keeps_the_files_order(tmp_path):
    path = npz(tmp_path / "x.npz", images=GREY)
    zero, again, one = (load(option("npz", path, split_seed=seed)).test.pixels for seed in (0, 0, 1))
    np.testing.assert_array_equal(zero, again)
    assert not np.array_equal(zero, one)
    in_order = load(option("npz", path, split_seed=None))
    np.testing.assert_array_equal(everything(in_order)[..., 0], GREY)
    assert load(option("npz", path, split_seed=1)).sha256 == in_order.sha256


def test_npz_keeps_a_test_array_of_its_own(tmp_path):
    path = npz(tmp_path / "x.npz", x_train=GREY[:30], y_train=LABELS[:30], x_test=GREY[30:], y_test=LABELS[30:])
    dataset = load(option("npz", path))
    np.testing.assert_array_equal(dataset.test.pixels[..., 0], GREY[30:])
    np.testing.assert_array_equal(dataset.test.labels, LABELS[30:])
    assert (len(dataset.train), len(dataset.val)) == (27, 3)
    assert in_file_order(dataset) == (list(range(40)), True)
    assert facts_of(option("npz", path))["training_rows"] == 27


def test_identity_tells_pixels_shapes_and_splits_apart_but_not_places(tmp_path):
    first = identity(option("npz", npz(tmp_path / "a.npz", images=GREY)))
    assert identity(option("npz", npz(tmp_path / "b.npz", pixels=GREY.reshape(40, 36)))) == first
    other = GREY.copy()
    other[7, 2, 3] ^= 1
    assert identity(option("npz", npz(tmp_path / "c.npz", images=other))) != first
    assert identity(option("npz", npz(tmp_path / "d.npz", x_train=GREY[:30], x_test=GREY[30:]))) != first
    assert identity(option("npz", tmp_path / "b.npz", shape=[4, 9, 1])) != first


def test_a_changed_file_is_read_again(tmp_path):
    path = npz(tmp_path / "x.npz", images=GREY)
    before = identity(option("npz", path))
    npz(path, images=GREY[::-1])
    os.utime(path, (0, 0))
    assert identity(option("npz", path)) != before
    assert load(option("npz", path)).sha256 == identity(option("npz", path))


@pytest.mark.parametrize(
    ("values", "settings", "shape", "dtype"),
    [
        (GREY, {}, (6, 6, 1), np.uint8),
        (GREY.reshape(40, 36), {}, (6, 6, 1), np.uint8),
        (GREY.reshape(40, 36), {"shape": [4, 3, 3]}, (4, 3, 3), np.uint8),
        (GREY.reshape(40, 4, 3, 3), {}, (4, 3, 3), np.uint8),
        (GREY.astype(float), {}, (6, 6, 1), np.uint8),
        (GREY > 99, {"levels": 2}, (6, 6, 1), np.uint8),
        (GREY / 255, {"levels": "unit"}, (6, 6, 1), np.float32),
        (REAL, {"levels": "real"}, (1, 9, 1), np.float32),
        (REAL, {"levels": "real", "shape": [3, 3, 1]}, (3, 3, 1), np.float32),
    ],
)
def test_npz_shapes_and_types(values, settings, shape, dtype, tmp_path):
    chosen = option("npz", npz(tmp_path / "x.npz", x=values), split_seed=None, **settings)
    dataset = load(chosen)
    np.testing.assert_array_equal(everything(dataset).ravel(), values.astype(dtype).ravel())
    assert everything(dataset).shape[1:] == shape
    assert everything(dataset).dtype == dtype
    assert facts_of(chosen)["image_shape"] == list(shape)


def test_csv_reads_real_values_without_header_or_label(tmp_path):
    chosen = option("csv", table(tmp_path / "x.csv", REAL.tolist()), label=None, levels="real", split_seed=None)
    dataset = load(chosen)
    np.testing.assert_array_equal(everything(dataset).reshape(40, 9), REAL.astype(np.float32))
    assert dataset.train.labels is None
    assert dataset.levels is None
    facts = {"image_shape": [1, 9, 1], "training_rows": 32, "validation_rows": 4, "levels": 2, "values": "real"}
    assert facts_of(chosen) == facts


def test_csv_takes_the_label_column_out_wherever_it_stands(tmp_path):
    rows = np.column_stack([GREY.reshape(40, 36), LABELS]).tolist()
    path = table(tmp_path / "x.csv", rows, [*(f'"p{n}"' for n in range(36)), "digit"])
    path.write_text("\ufeff" + path.read_text() + "\n")
    dataset = load(option("csv", path, label="digit"))
    assert in_file_order(dataset) == (list(range(40)), True)
    assert facts_of(option("csv", path, label="digit"))["training_rows"] == 32


def test_image_folder_resizes_and_turns_grey_and_coloured(tmp_path):
    left_black = np.zeros((8, 8, 3), np.uint8)
    left_black[:, 4:] = (255, 0, 0)
    path = folder(tmp_path / "x", [left_black] * 10)
    coloured = load(option("image_folder", path, channels=3, size=[4, 4])).train.pixels
    assert coloured.shape[1:] == (4, 4, 3)
    assert coloured[0, 0, 0].tolist() == [0, 0, 0]
    assert coloured[0, 0, 3].tolist() == [255, 0, 0]
    grey = load(option("image_folder", path)).train.pixels
    assert grey[0, 0, [0, 7], 0].tolist() == [0, 76]  # 0.299 * 255
    assert facts_of(option("image_folder", path, size=[4, 4], channels=3))["image_shape"] == [4, 4, 3]


def test_transparent_pixels_are_white(tmp_path):
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[1:3, 1:3, 3] = 255  # black on nothing
    grey = load(option("image_folder", folder(tmp_path / "x", [ink] * 10))).train.pixels[0, ..., 0]
    assert grey.tolist() == [[255, 255, 255, 255], [255, 0, 0, 255], [255, 0, 0, 255], [255, 255, 255, 255]]


def test_image_folder_reads_jpeg_upright(tmp_path):
    tall = Image.fromarray(np.zeros((4, 8), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was turned by a quarter
    for row in range(10):
        tall.save(tmp_path / f"{row}.JPG", exif=turned)
    chosen = option("image_folder", tmp_path)
    assert load(chosen).train.pixels.shape[1:] == (8, 4, 1)
    assert facts_of(chosen)["image_shape"] == [8, 4, 1]


def spoilt(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    return path


def at(row, column, value, base=REAL):
    changed = np.array(base, float)
    changed.reshape(len(base), -1)[row, column] = value
    return changed


def sixteen_bits_of_colour(path):
    """One PNG of 2 x 2 pixels, written by hand: Pillow writes none."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + struct.pack(">6H", *[200] * 6) for _ in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    path.mkdir()
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (path / "000.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


BAD = {
    "no path": lambda p: option("npz", p) | {"path": None},
    "no file": lambda p: option("npz", p / "none.npz"),
    "no folder": lambda p: option("image_folder", p / "none"),
    "a folder for a file": lambda p: option("csv", p),
    "truncated npz": lambda p: option("npz", spoilt(npz(p / "x.npz", x=GREY), 300)),
    "no npz": lambda p: option("npz", kaggle(p / "x.npz")),
    "pickled npz": lambda p: option("npz", npz(p / "x.npz", x=np.array([[{}] * 9] * 9, object))),
    "words": lambda p: option("npz", npz(p / "x.npz", x=np.array([["a"] * 4] * 9))),
    "unknown array": lambda p: option("npz", npz(p / "x.npz", faces=GREY)),
    "unknown key": lambda p: option("npz", npz(p / "x.npz", x=GREY), key="z"),
    "nan": lambda p: option("npz", npz(p / "x.npz", x=at(3, 2, np.nan)), levels="real"),
    "infinite": lambda p: option("npz", npz(p / "x.npz", x=at(5, 1, 1e300)), levels="real"),
    "fraction": lambda p: option("npz", npz(p / "x.npz", x=at(3, 2, 0.5, GREY))),
    "above the levels": lambda p: option("npz", npz(p / "x.npz", x=GREY), levels=255),
    "negative": lambda p: option("npz", npz(p / "x.npz", x=at(1, 0, -1, GREY))),
    "not in the unit interval": lambda p: option("npz", npz(p / "x.npz", x=at(2, 1, 1.5, GREY / 255)), levels="unit"),
    "binary as grey": lambda p: option("npz", npz(p / "x.npz", x=GREY // 128)),
    "unknown levels": lambda p: option("npz", npz(p / "x.npz", x=GREY), levels="grey"),
    "no square": lambda p: option("npz", npz(p / "x.npz", x=GREY.reshape(40, 36)[:, :35])),
    "wrong shape": lambda p: option("npz", npz(p / "x.npz", x=GREY), shape=[6, 6, 3]),
    "transposed by shape": lambda p: option("npz", npz(p / "x.npz", x=GREY.reshape(10, 3, 6, 8)), shape=[6, 8, 3]),
    "channels first": lambda p: option("npz", npz(p / "x.npz", x=np.zeros((9, 3, 8, 8), np.uint8))),
    "too few rows": lambda p: option("npz", npz(p / "x.npz", x=GREY[:3])),
    "labels of another length": lambda p: option("npz", npz(p / "x.npz", x=GREY, y=LABELS[:9])),
    "no label column": lambda p: option("csv", table(p / "x.csv", GREY.reshape(40, 36).tolist(), ["p"] * 36)),
    "no header": lambda p: option("csv", table(p / "x.csv", GREY.reshape(40, 36).tolist())),
    "ragged": lambda p: option("csv", table(p / "x.csv", [*REAL.tolist(), [1, 2]]), label=None, levels="real"),
    "a word": lambda p: option("csv", table(p / "x.csv", [*REAL.tolist(), ["x"] * 9]), label=None, levels="real"),
    "index without a name": lambda p: option("csv", table(p / "x.csv", REAL.tolist(), ["", *"abcdefgh"]), label=None),
    "numbered columns": lambda p: option("csv", table(p / "x.csv", REAL.tolist(), list(range(9))), label=None),
    "great labels": lambda p: option("csv", kaggle(p / "x.csv", labels=LABELS + 2**24)),
    "labels without end": lambda p: option("npz", npz(p / "x.npz", x=GREY, y=np.full(40, np.inf))),
    "empty": lambda p: option("csv", table(p / "x.csv", [])),
    "not text": lambda p: option("csv", npz(p / "x.npz", x=GREY)),
    "empty folder": lambda p: option("image_folder", p),
    "mixed sizes": lambda p: option("image_folder", folder(p / "x", [*GREY, GREY[0, :5]])),
    "truncated image": lambda p: option("image_folder", spoilt(folder(p / "x") / "007.png", 60).parent),
    "no image": lambda p: option("image_folder", kaggle(folder(p / "x") / "007.png").parent),
    "sixteen bits of colour": lambda p: option("image_folder", sixteen_bits_of_colour(p / "x")),
    "sixteen bits": lambda p: option("image_folder", folder(p / "x", GREY.astype(np.uint16) * 257)),
    "beside sub-folders": lambda p: option("image_folder", folder(folder(p / "x"), by_label=True)),
    "two channels": lambda p: option("image_folder", folder(p / "x"), channels=2),
    "size": lambda p: option("image_folder", folder(p / "x"), size=[4]),
}
SAID = {
    "no path": "data=npz needs data.path=..., the file to read",
    "no file": "none.npz is not a file; name one that exists",
    "no folder": "none is not a folder; name one that exists",
    "a folder for a file": "is not a file",
    "truncated npz": "x.npz is not a complete npz of arrays",
    "no npz": "x.npz is not a complete npz of arrays",
    "pickled npz": "x.npz: array x cannot be read (Object arrays cannot be loaded when allow_pickle=False)",
    "words": "x.npz holds <U1 values where numbers must be",
    "unknown array": "x.npz has no array of images, pixels, x, or x_train and x_test; it has faces. Say data.key=NAME",
    "unknown key": "x.npz has no array of data.key=z; it has x. Say data.key=NAME",
    "nan": "x.npz, row 3: nan is not a finite number",
    "infinite": "x.npz, row 5: 1e+300 is not a finite number",
    "fraction": "row 3: 0.5 is none of the whole numbers 0 to 255 of data.levels=256; use data.levels=unit or real",
    "above the levels": "x.npz, row 1: 255 is none of the whole numbers 0 to 254 of data.levels=255",
    "negative": "x.npz, row 1: -1.0 is none of the whole numbers",
    "not in the unit interval": "x.npz, row 2: 1.5 is not in [0, 1], as data.levels=unit says; use data.levels=real",
    "binary as grey": "x.npz holds zeros and ones only, and data.levels=256; use data.levels=2",
    "unknown levels": "data.levels=grey must be a whole number from 2 to 256 (grey levels), unit",
    "no square": "x.npz has 35 values a row, which is no square image; say data.shape=[H,W,C], or data.levels=real",
    "wrong shape": "data.shape=[6, 6, 3] must be [H,W,C] with H x W x C = 36",
    "transposed by shape": "the rows of PATH are [3, 6, 8] already; transpose them in the file, to [H,W,C]",
    "channels first": "holds images of shape [3, 8, 8]; they must have 1 or 3 channels, which come last",
    "too few rows": "x.npz has 3 rows: 3 for training and 0 for tests are too few; change data.validation_fraction=0.1",
    "labels of another length": "x.npz: labels (int64, shape [9]) are not one whole number for each of 40 rows",
    "no label column": "x.csv has no column data.label=label: its columns are p, p, p, p, ...; use data.label=null",
    "no header": "x.csv has no column data.label=label: its first line is no header; use data.label=null",
    "ragged": "x.csv is not a table of numbers",
    "a word": "x.csv is not a table of numbers",
    "index without a name": "x.csv: cell 1 of the first line is empty; a header must name every column",
    "numbered columns": "x.csv: the first line numbers the columns from 0, as pandas does without names",
    "great labels": "x.csv: labels must be below 16777216; number the classes from 0",
    "labels without end": "x.npz: labels (float64, shape [40]) are not one whole number for each of 40 rows",
    "empty": "x.csv is empty",
    "not text": "x.npz is not a table in UTF-8",
    "empty folder": "holds no PNG or JPEG images, nor do its sub-folders",
    "mixed sizes": "040.png has 5x6 pixels, and 000.png 6x6; say data.size=[H,W] to resize them",
    "truncated image": "007.png is not a complete PNG or JPEG image",
    "no image": "007.png is not a complete PNG or JPEG image",
    "sixteen bits of colour": "000.png has more than 8 bits a channel (RGB)",
    "sixteen bits": "has more than 8 bits a channel (I;16)",
    "beside sub-folders": "holds images beside sub-folders with images",
    "two channels": "data.channels=2 must be 1 (grey) or 3 (colour)",
    "size": "data.size=[4] must be [H,W], such as [32,32], or null",
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gives_one_line_that_names_it_and_the_way_out(case, tmp_path):
    chosen = BAD[case](tmp_path)
    with pytest.raises(UsageError) as error:
        facts_of(chosen), load(chosen)
    assert SAID[case].replace("PATH", str(chosen["path"])) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def real_file(tmp_path):
    return npz(tmp_path / "real.npz", x=REAL)


@pytest.fixture
def unit_file(tmp_path):
    return npz(tmp_path / "unit.npz", x=GREY / 255)


NORMAL = ("binarization=none", "likelihood=normal", "training.batch_size=5")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["binarization=dynamic"], "binarization=dynamic needs values in [0, 1], and data=npz has real ones"),
        (["binarization=threshold"], "binarization=threshold needs values in [0, 1]"),
        (["binarization=dequantized"], "binarization=dequantized needs whole grey levels"),
        (["likelihood=bernoulli", "likelihood.allow_grey=true"], "likelihood=bernoulli needs pixels in [0, 1]"),
        (["likelihood=continuous_bernoulli"], "likelihood=continuous_bernoulli needs pixels in [0, 1]"),
        (["likelihood.loc_activation=sigmoid"], "likelihood.loc_activation=sigmoid needs pixels in [0, 1]"),
        (["likelihood=categorical"], "likelihood=categorical scores grey levels, and data=npz has real values"),
        (["prior=vamp", "estimator=monte_carlo"], "prior=vamp needs pixels in [0, 1]"),
        (["encoder=conv"], "encoder=conv: a 3x3 kernel with valid padding does not fit"),
        (["training.batch_size=33"], "training.batch_size=33 is more than the 32 training rows of data=npz"),
        (["data.validation_fraction=1"], "data.validation_fraction=1 must be a number from 0 to below 1"),
        (["data.split_seed=-1"], "data.split_seed=-1 must be a whole number of at least 0"),
        (
            ["data.validation_fraction=0", "training.select=best"],
            "training.select=best compares by val/elbo, and data.validation_fraction=0 leaves none; use last",
        ),
    ],
)
def test_what_real_values_cannot_do_is_refused_before_any_work(words, message, real_file):
    with pytest.raises(UsageError) as error:
        compose("data=npz", f"data.path={real_file}", "data.levels=real", *NORMAL, *words)
    assert message in str(error.value)


def test_values_in_the_unit_interval_can_be_drawn_from_and_scored_as_densities(unit_file):
    given = ("data=npz", f"data.path={unit_file}", "data.levels=unit", "training.batch_size=5")
    drawn = compose(*given, "binarization=static")
    assert pixel_kind(drawn) == "binary"
    pixels, levels = parts.make(drawn.binarization).fix(load(drawn.data).test.pixels, None, "test")
    assert (set(np.unique(pixels)), levels) == ({0, 1}, 2)
    dense = compose(*given, "binarization=none", "likelihood=continuous_bernoulli")
    assert pixel_kind(dense) == "continuous"
    assert bits_offset(dense) is None
    with pytest.raises(UsageError, match="binarization=dequantized needs whole grey levels"):
        compose(*given, "binarization=dequantized", "likelihood=normal")


def test_facts_need_no_pixels(tmp_path, monkeypatch):
    """Nothing but headers, first lines and names is read for the checks across axes."""
    paths = files_of_each_kind(tmp_path)
    monkeypatch.setattr(own, "to_pixels", None)
    monkeypatch.setattr(np, "loadtxt", None)
    for name, path in paths.items():
        assert facts_of(option(name, path))["training_rows"] == 32


def test_settings_of_the_command_line_reach_the_reader(tmp_path):
    path = npz(tmp_path / "x.npz", faces=GREY.reshape(40, 36))
    cfg = compose("data=npz", f"data.path={path}", "data.key=faces", "data.shape=[4,3,3]", "training.batch_size=5")
    assert load(cfg.data).train.pixels.shape == (32, 4, 3, 3)


@pytest.mark.slow
def test_a_run_of_a_users_file_comes_back_wherever_the_file_is(unit_file, tmp_path, order_of):
    """The file is moved after training; another file in its place is refused."""
    from vae_lab import load_run
    from vae_lab.run.work import train

    small = ("encoder.hidden=[4]", "decoder.hidden=[4]", "latent_size=2", "training.jit=false", "training.epochs=1")
    quick = ("evaluation.importance_samples=2", "evaluation.images_every=0", "training.batch_size=5")
    cfg = compose("data=npz", f"data.path={unit_file}", "data.levels=unit", *small, *quick)
    order = order_of(cfg, "own")
    metrics, store = train(order, lambda result, latest: None), order.store
    (found,) = store.client.search_runs([store.experiment_id], "attributes.run_name = 'own'")
    moved = unit_file.rename(tmp_path / "moved.npz")
    with pytest.raises(UsageError, match=r"unit\.npz is not a file"):
        load_run(found.info.run_id)
    back = load_run(found.info.run_id, f"data.path={moved}")
    assert back.metrics() == pytest.approx(metrics, rel=1e-6)
    other = npz(tmp_path / "other.npz", x=GREY[::-1] / 255)
    with pytest.raises(UsageError, match="was trained on pixels with SHA-256"):
        load_run(found.info.run_id, f"data.path={other}")


def test_a_runs_identity_follows_the_pixels_and_not_the_path(real_file, tmp_path):
    given = ("data=npz", "data.levels=real", *NORMAL)
    there = npz(tmp_path / "there.npz", x=REAL)
    one, other = (identity_of(settings_of(compose(*given, f"data.path={path}"))) for path in (real_file, there))
    assert one == other
    npz(there, x=REAL + 1)
    os.utime(there, (0, 0))
    changed = compose(*given, f"data.path={there}")
    assert identity_of(settings_of(changed)).training != one.training


@pytest.fixture(scope="module")
def colour_file(tmp_path_factory):
    images = np.random.default_rng(2).integers(0, 256, (20, 32, 32, 3)).astype(np.uint8)
    return npz(tmp_path_factory.mktemp("colour") / "x.npz", images=images)


DEEP = ("encoder.kernels=[5,5,5,5,5]", "encoder.filters=[4,4,4,4,4]")
SPATIAL = ("encoder.filters=[4,4]", "decoder.filters=[4,4,4]")
COLOUR = {
    ("encoder", "conv"): (),
    ("encoder", "conv_deep"): DEEP,
    ("encoder", "conv_spatial"): ("decoder=conv_spatial", *SPATIAL),
    ("encoder", "gated_mlp"): (),
    ("encoder", "linear"): (),
    ("encoder", "mlp"): (),
    ("encoder", "resnet"): (),
    ("decoder", "conv"): ("decoder.base=[8,8,4]",),
    ("decoder", "conv_spatial"): ("encoder=conv_spatial", *SPATIAL),
    ("decoder", "gated_mlp"): (),
    ("decoder", "linear"): (),
    ("decoder", "mlp"): (),
    ("decoder", "resnet"): (),
}


def test_every_network_is_tried_on_colour():
    assert set(COLOUR) == {(axis, name) for axis in ("encoder", "decoder") for name in option_names(axis)}


@pytest.mark.parametrize(("axis", "name"), COLOUR)
def test_colour_images_of_32_pixels_go_through_every_network(axis, name, colour_file):
    cfg = compose(
        "data=npz",
        f"data.path={colour_file}",
        "binarization=none",
        "likelihood=discretized_logistic",
        "likelihood.output_bias=train_mean",
        "training.batch_size=5",
        "latent_size=3",
        f"{axis}={name}",
        *COLOUR[axis, name],
    )
    dataset = load(cfg.data)
    x = dataset.test.pixels / np.float32(255)
    model = parts.make_model(
        settings_of(cfg), dataset.train.pixels.shape[1:], dataset.levels, dataset.train.pixels.mean(axis=0) / 255
    )
    p = model.decode(model.encode(x).sample(2, seed=(0, 1)))
    assert p.mean().shape == (2, 2, 32, 32, 3)
    log_prob = p.log_prob(x).numpy()
    assert log_prob.shape == (2, 2)
    assert np.all(np.isfinite(log_prob))
