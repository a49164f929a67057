"""Files of a user's own: what is read, how it is split, what is said of bad files, what the checks know of them."""

import csv
import io
import json
import os
import re
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_lab.config import parts
from vae_lab.config.checks.facts import bits_offset, pixel_kind
from vae_lab.config.checks.notes import note_on_pixels
from vae_lab.config.compose import compose
from vae_lab.config.options import option_names, read_option
from vae_lab.config.overrides import with_home
from vae_lab.config.settings import settings_of
from vae_lab.data import memory, own
from vae_lab.data.dataset import facts_of, identity, load
from vae_lab.data.images import Images
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


def image(path, value=GREY[0], **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(value).save(path, **how)
    return path


def in_splits(path, *labels, **counts):
    """A folder of `counts` images by the name of its split's folder, all different, with these labels in turn."""
    rows = iter(GREY)
    for split, count in counts.items():
        for row in range(count):
            of_label = [labels[row % len(labels)]] if labels else []
            image(path.joinpath(split, *of_label, f"{row}.png"), next(rows))
    return path


def claims(path, shape, name="x.npy"):
    """An npz whose header promises a shape of bytes, and that holds 1,000 of them."""
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, array.getvalue() + bytes(1000))
    return path


def lines(path, *text):
    path.write_text("\n".join(text) + "\n")
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


def test_npz_keeps_validation_rows_of_its_own(tmp_path):
    rest = {"x_train": GREY[:25], "x_test": GREY[30:], "y_val": LABELS[25:30]}
    for number, spelt in enumerate(("val", "valid", "validation")):
        chosen = option("npz", npz(tmp_path / f"{number}.npz", **rest, **{f"x_{spelt}": GREY[25:30]}))
        dataset, facts = load(chosen), facts_of(chosen)
        for split, rows in ((dataset.train, GREY[:25]), (dataset.val, GREY[25:30]), (dataset.test, GREY[30:])):
            np.testing.assert_array_equal(split.pixels[..., 0], rows)
        assert dataset.val.labels.tolist() == LABELS[25:30].tolist()
        assert dataset.train.labels is None
        assert (facts["training_rows"], facts["validation_rows"]) == (25, 5)


def test_test_rows_are_taken_of_the_training_rows_where_only_validation_rows_are_apart(tmp_path):
    chosen = option("npz", npz(tmp_path / "x.npz", x_train=GREY[:30], x_val=GREY[30:]), test_fraction=0.2)
    dataset = load(chosen)
    np.testing.assert_array_equal(dataset.val.pixels[..., 0], GREY[30:])
    assert (len(dataset.train), len(dataset.test)) == (24, 6)
    assert facts_of(chosen)["training_rows"] == 24
    assert sorted(row.tobytes() for row in everything(dataset)) == sorted(row.tobytes() for row in GREY)


def test_a_split_for_tests_and_one_for_validation_are_two_identities(tmp_path):
    held_out = [npz(tmp_path / f"{name}.npz", x_train=GREY[:30], **{name: GREY[30:]}) for name in ("x_val", "x_test")]
    assert len({identity(option("npz", path)) for path in held_out}) == 2


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
    facts = {"image_shape": [1, 9, 1], "training_rows": 32, "validation_rows": 4, "levels": None, "values": "real"}
    assert facts_of(chosen) == facts


def test_csv_takes_the_label_column_out_wherever_it_stands(tmp_path):
    rows = np.column_stack([GREY.reshape(40, 36), LABELS]).tolist()
    path = table(tmp_path / "x.csv", rows, [*(f'"p{n}"' for n in range(36)), "digit"])
    path.write_text("\ufeff" + path.read_text() + "\n")
    dataset = load(option("csv", path, label="digit"))
    assert in_file_order(dataset) == (list(range(40)), True)
    assert facts_of(option("csv", path, label="digit"))["training_rows"] == 32


def test_labels_are_the_names_of_folders_with_their_numbers_in_order(tmp_path):
    for label in range(1, 12):
        for row in range(4):
            image(tmp_path / str(label) / f"{row}.png", np.full((6, 6), label, np.uint8))
    dataset = load(option("image_folder", tmp_path))
    assert dataset.label_names == tuple(str(label) for label in range(1, 12))
    for split in dataset.splits().values():
        assert [int(dataset.label_names[label]) for label in split.labels] == split.pixels[:, 0, 0, 0].tolist()


def test_images_stand_in_the_order_of_their_numbers(tmp_path):
    for row in range(20):
        image(tmp_path / f"frame{row}.png", GREY[row])
    dataset = load(option("image_folder", tmp_path, split_seed=None))
    np.testing.assert_array_equal(everything(dataset)[..., 0], GREY[:20])


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "testing")])
@pytest.mark.parametrize("labels", [(), ("cat", "dog")])
def test_folders_of_splits_are_the_splits(names, labels, tmp_path):
    counts = dict(zip(names, (20, 5, 7), strict=True))
    chosen = option("image_folder", in_splits(tmp_path, *labels, **counts))
    dataset, facts = load(chosen), facts_of(chosen)
    start = 0
    for split, count in zip(dataset.splits().values(), counts.values(), strict=True):
        rows = {image.tobytes(): row for row, image in enumerate(GREY[start : start + count])}
        order = [rows[image.tobytes()] for image in split.pixels]
        assert sorted(order) == list(range(count))
        if labels:
            assert [dataset.label_names[label] for label in split.labels] == [labels[row % 2] for row in order]
        else:
            assert split.labels is None
        start += count
    assert dataset.label_names == (labels or None)
    assert (facts["training_rows"], facts["validation_rows"]) == (20, 5)
    assert identity(chosen) == dataset.sha256


def test_a_split_without_labels_stands_beside_one_with_them(tmp_path):
    in_splits(tmp_path, "cat", "dog", train=10)
    dataset = load(option("image_folder", in_splits(tmp_path, test=4)))
    assert dataset.test.labels is None
    assert sorted(set(dataset.train.labels)) == [0, 1]


def test_a_label_may_be_named_as_a_split_is(tmp_path):
    """A train is a thing, too."""
    dataset = load(option("image_folder", in_splits(tmp_path, train=10, car=10, plane=10)))
    assert dataset.label_names == ("car", "plane", "train")
    assert sum(map(len, dataset.splits().values())) == 30


FORMATS = ("apng", "avif", "bmp", "gif", "jfif", "jpe", "pcx", "pgm", "png", "pnm", "qoi", "tga", "tif", "tiff", "webp")


def test_every_image_that_pillow_reads_is_a_row(tmp_path):
    colour = np.repeat(np.full((8, 8, 1), 128, np.uint8), 3, axis=2)
    for ending in FORMATS:
        kind = {"apng": "PNG", "jfif": "JPEG", "jpe": "JPEG"}.get(ending)
        image(tmp_path / f"x.{ending.upper()}", colour, **({"format": kind} if kind else {}))
    pixels = everything(load(option("image_folder", tmp_path)))
    assert len(pixels) == len(FORMATS)
    assert (abs(pixels.astype(int) - 128) <= 2).all()  # some of them lose a little


def test_what_a_desktop_leaves_in_a_folder_is_passed_over(tmp_path):
    path = folder(tmp_path / "x", GREY[:10])
    before = identity(option("image_folder", path))
    for name in ("._000.png", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt", ".hidden.png"):
        (path / name).write_bytes(b"\0\5\x16\7 no image")
    for name in (".git", "__MACOSX", ".ipynb_checkpoints", "empty"):
        (path / name).mkdir()
        if name != "empty":
            (path / name / "._000.png").write_bytes(b"no image")
    assert identity(option("image_folder", path)) == before
    assert load(option("image_folder", path)).label_names is None


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


@pytest.mark.parametrize("between", [",", ";", "\t", " ", ", "])
@pytest.mark.parametrize("header", [True, False])
def test_csv_is_read_whatever_stands_between_its_cells(between, header, tmp_path):
    rows = np.column_stack([LABELS, GREY.reshape(40, 36)]).tolist()
    named = [["label", *(f"p{n}" for n in range(36))]] if header else []
    text = [between.join(map(str, row)) for row in [*named, *rows]]
    chosen = option("csv", lines(tmp_path / "x.csv", *text), label="label" if header else 0)
    assert in_file_order(load(chosen)) == (list(range(40)), True)
    assert facts_of(chosen)["training_rows"] == 32


@pytest.mark.parametrize("label", [0, -3, "label"])
def test_csv_takes_the_label_by_name_or_number(label, tmp_path):
    path = lines(tmp_path / "x.csv", "label,a,b", *(f"{row % 3},{row},7" for row in range(20)))
    dataset = load(option("csv", path, label=label, levels="real", split_seed=None))
    assert everything(dataset)[:, 0, 0, 0].tolist() == list(range(20))
    assert np.concatenate([split.labels for split in dataset.splits().values()]).tolist() == [n % 3 for n in range(20)]


def test_a_column_that_is_named_by_a_number_comes_before_the_one_of_that_number(tmp_path):
    path = lines(tmp_path / "x.csv", "a,b,0", *(f"1,2,{row % 3}" for row in range(20)))
    dataset = load(option("csv", path, header=True, label=0, levels="real", split_seed=None))
    assert np.concatenate([split.labels for split in dataset.splits().values()]).tolist() == [n % 3 for n in range(20)]


@pytest.mark.parametrize(("header", "rows"), [(True, 20), (False, 21)])
def test_what_the_first_line_is_can_be_said(header, rows, tmp_path):
    path = lines(tmp_path / "x.csv", "1,2,3,4", *("9,8,7,6" for _ in range(20)))
    dataset = load(option("csv", path, header=header, label=None))
    assert sum(map(len, dataset.splits().values())) == rows


def test_rows_that_rise_are_rows(tmp_path):
    """Sorted rows are no header: the second line rises as well."""
    rows = np.sort(REAL, axis=1)
    chosen = option("csv", table(tmp_path / "x.csv", rows.tolist()), label=None, levels="real", split_seed=None)
    np.testing.assert_array_equal(everything(load(chosen)).reshape(40, 9), rows.astype(np.float32))


def test_a_home_is_found_by_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    npz(tmp_path / "x.npz", x=GREY)
    assert len(load(option("npz", "~/x.npz")).train) == 32


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


def sixteen_bits_of_a_pixmap(path):
    path.mkdir()
    (path / "000.ppm").write_bytes(b"P6 2 2 65535\n" + bytes(24))
    return path


def of_other_kinds(path):
    for name in ("a.HEIC", "b.svg", "c.heic"):
        (path / name).write_bytes(b"of another kind")
    return path


def animated(path):
    first, *others = [Image.fromarray(grey) for grey in GREY[:3]]
    first.save(path / "film.gif", save_all=True, append_images=others)
    return path


def beside(path, name):
    """That folder with one more image, of that name."""
    image(path / name)
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
    "sixteen bits of a pixmap": lambda p: option("image_folder", sixteen_bits_of_a_pixmap(p / "x")),
    "images of other kinds": lambda p: option("image_folder", of_other_kinds(folder(p / "x"))),
    "several images in one": lambda p: option("image_folder", animated(folder(p / "x"))),
    "no training split": lambda p: option("image_folder", in_splits(p / "x", val=9, test=9)),
    "two splits of one kind": lambda p: option("image_folder", in_splits(p / "x", train=9, val=9, valid=9)),
    "splits beside others": lambda p: option("image_folder", in_splits(p / "x", train=9, test=9, extra=9)),
    "splits beside images": lambda p: option("image_folder", beside(in_splits(p / "x", train=9, test=9), "a.png")),
    "deeper": lambda p: option("image_folder", beside(folder(p / "x", by_label=True), "0/more/a.png")),
    "deeper in a split": lambda p: option("image_folder", beside(in_splits(p / "x", "a", train=9), "train/a/b/c.png")),
    "a split of both": lambda p: option("image_folder", beside(in_splits(p / "x", "a", train=9), "train/b.png")),
    "huge images": lambda p: option("image_folder", folder(p / "x"), size=[100_000, 100_000]),
    "an empty path": lambda p: option("image_folder", ""),
    "nobody's home": lambda p: option("npz", "~nobody-of-that-name/x.npz"),
    "huge npz": lambda p: option("npz", claims(p / "x.npz", (10**12, 8, 8))),
    "npz of less than it says": lambda p: option("npz", claims(p / "x.npz", (40, 8, 8))),
    "a split that is none": lambda p: option("npz", npz(p / "x.npz", x_train=GREY, x_dev=GREY[:9])),
    "test rows beside x": lambda p: option("npz", npz(p / "x.npz", x=GREY, x_test=GREY[:9])),
    "two of one split": lambda p: option("npz", npz(p / "x.npz", x_train=GREY, x_val=GREY, x_valid=GREY)),
    "splits of two shapes": lambda p: option("npz", npz(p / "x.npz", x_train=GREY, x_val=GREY[:, :5])),
    "columns from 1": lambda p: option("csv", lines(p / "x.csv", "1,2,3,4", *["9,8,7,6"] * 20), label=None),
    "even steps": lambda p: option("csv", lines(p / "x.csv", "400,402.5,405", *["9,8,7"] * 20), label=None),
    "rising": lambda p: option("csv", table(p / "x.csv", REAL.tolist(), [n * n for n in range(9)]), label=None),
    "a word in a row": lambda p: option("csv", lines(p / "x.csv", "0.5,NA,0.1", *["9,8,7"] * 20), label=None),
    "pandas's index": lambda p: option("csv", lines(p / "x.csv", "Unnamed: 0,a", *["9,8"] * 20), label=None),
    "an index": lambda p: option("csv", lines(p / "x.csv", "a,ID", *["9,8"] * 20), label=None),
    "one name twice": lambda p: option("csv", lines(p / "x.csv", "a,b,a", *["9,8,7"] * 20), label=None),
    "decimal commas": lambda p: option("csv", lines(p / "x.csv", *["0,5;1,5"] * 20), label=None, levels="real"),
    "no such number": lambda p: option("csv", lines(p / "x.csv", *["9,8"] * 20), label=2),
    "zero bytes": lambda p: option("csv", lines(p / "x.csv", "\0" * 5000)),
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
    "empty folder": "holds no images, nor do its sub-folders",
    "mixed sizes": "040.png has 5x6 pixels, and 000.png 6x6; say data.size=[H,W] to resize them",
    "truncated image": "007.png is not a complete image",
    "no image": "007.png is not a complete image",
    "sixteen bits of colour": "000.png has more than 8 bits a channel (RGB)",
    "sixteen bits": "has more than 8 bits a channel (I;16)",
    "sixteen bits of a pixmap": "000.ppm has more than 8 bits a channel (RGB)",
    "images of other kinds": "a.HEIC is an image of a kind that is not read, one of 3 such in data.path=PATH; convert",
    "several images in one": "film.gif holds 3 images; save each as a file of its own",
    "no training split": "data.path=PATH holds the splits test, val; there must be one train, and at most one val",
    "two splits of one kind": "holds the splits train, val, valid; there must be one train, and at most one val",
    "splits beside others": "data.path=PATH holds extra beside the splits test, train; move it away, or into one",
    "splits beside images": "data.path=PATH holds a.png beside the splits test, train; move it into one",
    "deeper": "PATH/0/more/a.png lies deeper than the sub-folders of PATH, which are the labels; move such images up",
    "deeper in a split": "PATH/train/a/b/c.png lies deeper than the sub-folders of PATH/train, which are the labels",
    "a split of both": "PATH/train holds images beside sub-folders with images; use one or the other",
    "huge images": "40 images of 100000x100000x1 needs 400,000,000,000 bytes of memory, and there are MEMORY; use",
    "an empty path": "data=image_folder needs data.path=..., the folder to read",
    "nobody's home": "data.path=~nobody-of-that-name/x.npz is in the home of nobody here",
    "huge npz": "x.npz: array x needs 64,000,000,000,000 bytes of memory, and there are MEMORY; its header promises "
    "that, and 1,000 bytes are there",
    "npz of less than it says": "x.npz: array x needs 2,560 bytes; its header promises that, and 1,000 bytes are there",
    "a split that is none": "has images x_dev beside x_train, which would not be read; name splits x_train, x_val and",
    "test rows beside x": "has images x_test beside x, which would not be read; name splits x_train, x_val and x_test",
    "two of one split": "x.npz has both x_val and x_valid, which are one split; leave one out",
    "splits of two shapes": "x.npz: x_train and x_val hold images of different shapes",
    "columns from 1": "x.csv: the first line numbers the columns from 1, as pandas does without names",
    "even steps": "x.csv: the first line holds rising numbers (400, 402.5, 405, ...), as a header does; say data",
    "rising": "x.csv: the first line holds rising numbers (0, 1, 4, ...), as a header does; say data.header=true if",
    "a word in a row": "x.csv: the first line holds 'NA' among numbers; say data.header=true if it names the columns",
    "pandas's index": "x.csv: column 0 is named Unnamed: 0, as one that numbers the rows, and would be a pixel; leave",
    "an index": "x.csv: column 1 is named ID, as one that numbers the rows",
    "one name twice": "x.csv: columns 0 and 2 are both named a; rename one",
    "decimal commas": "x.csv is not a table of numbers with semicolons between them and points for decimals",
    "no such number": "x.csv has no column data.label=2: its first line is no header; use data.label=null if it has no "
    "labels, or data.label=0 to 1 for a column by its number",
    "zero bytes": "x.csv is not a table: its first line holds bytes that are no text",
    "beside sub-folders": "holds images beside sub-folders with images",
    "two channels": "data.channels=2 must be 1 (grey) or 3 (colour)",
    "size": "data.size=[4] must be [H,W], such as [32,32], or null",
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gives_one_line_that_names_it_and_the_way_out(case, tmp_path):
    chosen = BAD[case](tmp_path)
    with pytest.raises(UsageError) as error:
        facts_of(chosen), load(chosen)
    said = SAID[case].replace("PATH", str(chosen["path"])).replace("MEMORY", f"{memory.limit():,}")
    assert said in str(error.value)
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
        (
            ["prior=hierarchical_vamp", "posterior=ladder", "estimator=monte_carlo"],
            "prior=hierarchical_vamp needs pixels in [0, 1]",
        ),
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
    images = parts.make(drawn.binarization).fix(Images(load(drawn.data).test.pixels, None), "test")
    assert (set(np.unique(images.pixels)), images.levels) == ({0, 1}, 2)
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


def test_what_there_is_no_memory_for_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """By the file's own size: the same file is read where there is more."""
    for name, path in files_of_each_kind(tmp_path).items():
        load(option(name, path, validation_fraction=0.2))
        needed = 40 * 37 * 4 if name == "csv" else 40 * 36  # a table is read as float32, its labels with it
        monkeypatch.setattr(memory, "limit", lambda needed=needed: needed - 1)
        message = f"needs {needed:,} bytes of memory, and there are {needed - 1:,}; use fewer or smaller images"
        for found_out in (facts_of, load):
            with pytest.raises(UsageError, match=message):
                found_out(option(name, path))
        monkeypatch.undo()


def test_memory_is_no_more_than_the_process_may_have(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUP", tmp_path / "memory.max")
    whole = memory.limit()
    assert whole > 2**20
    for said, there in (("max\n", whole), ("1048576\n", 2**20)):
        (tmp_path / "memory.max").write_text(said)
        assert memory.limit() == there


def test_an_allocation_that_fails_is_said_in_a_line(tmp_path, monkeypatch):
    def no_memory(*arguments):
        raise MemoryError("Unable to allocate")

    path = npz(tmp_path / "x.npz", x=GREY)
    monkeypatch.setattr(own, "to_pixels", no_memory)
    with pytest.raises(UsageError, match=r"data=npz is more than this machine has memory for \(Unable to allocate\)"):
        load(option("npz", path))


def test_a_folder_that_gets_a_file_is_listed_again(tmp_path):
    path = folder(tmp_path / "x", GREY[:10], by_label=True)
    before = facts_of(option("image_folder", path))["training_rows"]
    time.sleep(0.05)  # a folder's time of change has the grain of the kernel's clock
    for row in range(10):
        image(path / "0" / f"new{row}.png")
    assert facts_of(option("image_folder", path))["training_rows"] == before + 8


# A number of training rows


@pytest.fixture
def forty(tmp_path):
    return npz(tmp_path / "x.npz", x_train=GREY[:30], y_train=LABELS[:30], x_val=GREY[30:34], x_test=GREY[34:])


def test_train_rows_are_the_same_ones_in_every_run_and_among_those_of_more(forty):
    whole = load(option("npz", forty))
    taken = [load(option("npz", forty, train_rows=rows)) for rows in (5, 12, 30)]
    rows = {image.tobytes(): row for row, image in enumerate(GREY)}
    chosen = [[rows[image.tobytes()] for image in dataset.train.pixels] for dataset in taken]
    assert [len(each) for each in chosen] == [5, 12, 30]
    assert set(chosen[0]) < set(chosen[1])
    assert chosen[0] != list(range(5))  # no neighbours: files are often sorted
    for dataset, order in zip(taken, chosen, strict=True):
        assert dataset.train.labels.tolist() == LABELS[order].tolist()
        assert dataset.sha256 == whole.sha256
        for split in ("val", "test"):
            assert getattr(dataset, split) is getattr(whole, split)
    np.testing.assert_array_equal(taken[-1].train.pixels, whole.train.pixels)
    again = load(option("npz", forty, train_rows=12))
    np.testing.assert_array_equal(again.train.pixels, taken[1].train.pixels)


@pytest.mark.parametrize("name", option_names("data"))
def test_every_data_set_can_be_cut_to_a_number_of_rows(name):
    chosen = read_option("data", name)
    assert chosen.get("data", chosen)["train_rows"] is None


def test_train_rows_are_part_of_what_a_run_is(forty):
    given = ("data=npz", f"data.path={forty}", "training.batch_size=5")
    found = [identity_of(settings_of(compose(*given, f"data.train_rows={rows}"))) for rows in ("null", 12, 13)]
    for digest in ("training", "evaluation", "group"):
        assert len({getattr(each, digest) for each in found}) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "31",
            "data.train_rows=31 is more than the 30 training rows of data=npz; use as many or fewer, or null for all",
        ),
        ("4", "data.train_rows=4 is less than one batch of training.batch_size=5; take more rows, or smaller batches"),
        ("0", "data.train_rows=0 must be a whole number of at least 1"),
        ("5.5", "data.train_rows=5.5 must be a whole number of at least 1"),
        ("true", "data.train_rows=true must be a whole number of at least 1"),
    ],
)
def test_train_rows_that_there_are_not_are_refused(rows, message, forty):
    with pytest.raises(UsageError) as error:
        compose("data=npz", f"data.path={forty}", "training.batch_size=5", f"data.train_rows={rows}")
    assert message in str(error.value)


def test_train_rows_are_counted_without_those_held_out():
    compose("data=digits", "data.train_rows=1200")
    with pytest.raises(UsageError, match=r"data\.train_rows=1201 is more than the 1200 training rows of data=digits"):
        compose("data=digits", "data.train_rows=1201")
    with pytest.raises(UsageError, match=r"data\.train_rows=1201: data=digits has 1200 training rows"):
        load(dict(read_option("data", "digits")) | {"train_rows": 1201, "dir": None})


# What is said before work


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], "data=npz has 256 grey levels, and binarization=dynamic, the default, makes zeros and ones of them; "),
        (["binarization=dynamic"], None),
        (["binarization=none", "likelihood=discretized_logistic"], None),
        (["+experiment=mine"], None),
    ],
)
def test_pixels_that_nobody_chose_to_binarize_are_a_note(overrides, said, forty):
    given = [f"data.path={forty}", "training.batch_size=5"]
    cfg = compose("data=npz", *given, *(entry for entry in overrides if "experiment" not in entry))
    note = note_on_pixels(cfg, ["data=npz", *given, *overrides])
    if said is None:
        assert note is None
    else:
        assert said in note
        assert note.endswith("binarization=none likelihood=discretized_logistic keeps them")
        assert "\n" not in note


def test_the_way_out_of_the_note_can_be_gone(forty, unit_file):
    for path, levels in ((forty, "256"), (unit_file, "unit")):
        given = ["data=npz", f"data.path={path}", f"data.levels={levels}", "training.batch_size=5"]
        note = note_on_pixels(compose(*given), given)
        way_out = note.partition("; ")[2].removesuffix(" keeps them").split()
        assert note_on_pixels(compose(*given, *way_out), given + way_out) is None


def test_known_data_and_binary_pixels_need_no_note(tmp_path):
    binary = npz(tmp_path / "x.npz", x=GREY // 128)
    given = ["data=npz", f"data.path={binary}", "data.levels=2", "binarization=none", "training.batch_size=5"]
    assert note_on_pixels(compose(*given), given[:3]) is None
    assert note_on_pixels(compose("data=digits"), []) is None


def test_a_command_lines_home_is_spelt_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    given = ["data.path=~/a b.npz", "data.dir=~", "data.path=~/x,~/y", "x=[~/a]", "~study", "a=b~/c", "n=~name/x"]
    assert with_home(given) == [
        "data.path=/home/me/a b.npz",
        "data.dir=/home/me",
        "data.path=/home/me/x,/home/me/y",
        "x=[/home/me/a]",
        "~study",
        "a=b~/c",
        "n=~name/x",
    ]


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


@pytest.mark.slow
def test_the_pictures_of_a_run_call_classes_by_their_folders(tmp_path, order_of):
    from vae_lab.run.work import train

    for row, label in enumerate(["1", "2", "10", "a < b"] * 10):
        image(tmp_path / label / f"{row}.png", GREY[row])
    small = ("encoder.hidden=[4]", "decoder.hidden=[4]", "latent_size=2", "training.jit=false", "training.epochs=1")
    quick = ("evaluation.importance_samples=2", "evaluation.images_every=0", "training.batch_size=5")
    pictures = ("evaluation.pictures=[latent_space]", "data.test_fraction=0.5")
    cfg = compose("data=image_folder", f"data.path={tmp_path}", *small, *quick, *pictures)
    order = order_of(cfg, "folders")
    train(order, lambda result, latest: None)
    store = order.store
    (found,) = store.client.search_runs([store.experiment_id], "attributes.run_name = 'folders'")
    page = Path(store.client.download_artifacts(found.info.run_id, "pictures/latent_space.html")).read_text()
    names = re.findall(r'"mode":"markers","name":"([^"]*)"', page)
    assert [json.loads(f'"{name}"') for name in names] == ["1", "2", "10", "a &lt; b"]


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
