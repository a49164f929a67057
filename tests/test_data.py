"""Data sets: formats, splits, pins, and what is said of broken files."""

import gzip
import math
import struct

import numpy as np
import pytest
import tensorflow as tf

from vae_lab.binarization import Dequantized, Dynamic, NoBinarization, Static, Threshold
from vae_lab.config import compose
from vae_lab.data import binarized_mnist, digits, idx, mnist
from vae_lab.data.dataset import Split, hold_out, load, pixels_sha256, require_sha256
from vae_lab.data.images import Images
from vae_lab.errors import UsageError


def write_idx(path, array, magic=b"\0\0\x08"):
    header = magic + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_dequantized_training_pixels_are_fresh_and_uniform_within_their_level():
    pixels = digits.load(None, 237).test.pixels
    one, other = (Dequantized().visit(pixels, 17, tf.constant([0, draw])).numpy() for draw in (0, 1))
    np.testing.assert_array_equal(np.floor(one * 17), pixels)
    assert abs((one * 17 - pixels).mean() - 0.5) < 4 / math.sqrt(12 * one.size)
    assert np.mean(one != other) > 0.99


def test_static_pixels_are_the_same_for_ever():
    """Every test set is made of them: another draw is another test set."""
    drawn = Static().fix(Images(digits.load(None, 237).test.pixels, 17), "test").pixels
    assert pixels_sha256(drawn)[:16] == "06c8c7824c5e3870", "every fixed test set would be another"


def test_idx_reads_what_was_written(tmp_path):
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / "x.gz", images)
    np.testing.assert_array_equal(idx.read_idx(tmp_path / "x.gz"), images)


def test_idx_errors_name_the_file(tmp_path):
    path = tmp_path / "x.gz"
    write_idx(path, np.zeros((2, 3), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(UsageError, match=r"x\.gz is not a complete gzip file"):
        idx.read_idx(path)
    write_idx(path, np.zeros((2, 3), np.uint8), magic=b"\0\0\x0d")
    with pytest.raises(UsageError, match=r"x\.gz is not an IDX file of unsigned bytes"):
        idx.read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 9) + b"abc"))
    with pytest.raises(UsageError, match=r"x\.gz holds 3 bytes where its header promises 9"):
        idx.read_idx(path)


def test_another_data_set_under_the_name_is_refused(tmp_path):
    (tmp_path / "mnist").mkdir()
    for name, shape in zip(idx.FILES, [(5, 28, 28), (5,), (2, 28, 28), (2,)], strict=True):
        write_idx(tmp_path / "mnist" / name, np.zeros(shape, np.uint8))
    assert mnist.available(str(tmp_path))
    with pytest.raises(UsageError, match=r"data=mnist: the pixels in .* have SHA-256"):
        mnist.load(str(tmp_path), 0)


def test_a_label_for_each_image_or_an_error_that_names_the_file(tmp_path):
    write_idx(tmp_path / "images.gz", np.zeros((5, 28, 28), np.uint8))
    write_idx(tmp_path / "labels.gz", np.zeros(4, np.uint8))
    with pytest.raises(UsageError, match=r"labels\.gz holds 4 labels, and images\.gz 5 images"):
        idx.read_split(tmp_path / "images.gz", tmp_path / "labels.gz")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_without_files_and_network_one_error_says_what_to_put_where(name, tmp_path, monkeypatch):
    import keras

    def no_network():
        raise OSError("no route to host")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", no_network)
    with pytest.raises(UsageError) as error:
        idx.load(name, str(tmp_path), 0, "")
    assert f"data={name}" in str(error.value)
    assert f"Put {', '.join(idx.FILES)} into {tmp_path}/{name}." in str(error.value)


def test_amat_reads_digits_and_refuses_ragged_rows(tmp_path):
    rows = np.random.default_rng(0).integers(0, 2, (3, 784)).astype(np.uint8)
    path = tmp_path / "x.amat"
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    np.testing.assert_array_equal(binarized_mnist.read_amat(path), rows)
    path.write_text("0 1 1\n")
    with pytest.raises(UsageError, match=r"x\.amat is not made of rows of 784"):
        binarized_mnist.read_amat(path)


def test_hold_out_takes_the_last_rows():
    train, val = hold_out(Split(np.arange(10)), 3)
    assert train.pixels.tolist() == list(range(7))
    assert val.pixels.tolist() == [7, 8, 9]
    train, val = hold_out(Split(np.arange(10)), 0)
    assert (len(train), len(val)) == (10, 0)


def test_digits_splits_are_the_package_rows_in_order():
    dataset = digits.load(None, 237)
    assert [len(split) for split in dataset.splits().values()] == [1200, 237, 360]
    everything = np.concatenate([split.pixels for split in dataset.splits().values()])
    assert everything.shape == (1797, 8, 8, 1)
    assert everything.max() == dataset.levels - 1
    require_sha256("digits", "scikit-learn", pixels_sha256(everything), dataset.sha256)


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist", "binarized_mnist"])
def test_facts_in_the_yaml_are_true_of_the_data(name, request):
    overrides = [f"data={name}"]
    if name != "digits":
        overrides.append(f"data.dir={request.getfixturevalue('data_dir')}")
    cfg = compose.compose(*overrides, "likelihood.allow_grey=true")
    dataset, facts = load(cfg.data), cfg.data.facts
    for split in dataset.splits().values():
        assert list(split.pixels.shape[1:]) == facts.image_shape
        assert split.pixels.dtype == np.uint8
    assert dataset.levels == facts.levels
    assert dataset.train.pixels.max() == facts.levels - 1
    held_out = 0 if "validation_rows" in facts else len(dataset.val)
    assert len(dataset.train) + held_out == facts.training_rows
    assert len(dataset.val) == cfg.data.validation_size


def test_real_mnist_has_its_published_means(data_dir):
    dataset = mnist.load(data_dir, 0)
    assert dataset.train.pixels.mean() / 255 == pytest.approx(0.130660, abs=1e-6)
    assert dataset.test.pixels.mean() / 255 == pytest.approx(0.132515, abs=1e-6)
    assert np.bincount(dataset.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_binarizations_of_a_split():
    dataset = digits.load(None, 237)
    pixels, levels = dataset.test.pixels, dataset.levels
    images = Images(pixels, levels)
    assert NoBinarization().fix(images, "test") is images
    thresholded = Threshold().fix(images, "test")
    assert thresholded.levels == 2
    np.testing.assert_array_equal(thresholded.pixels, pixels / 16 > 0.5)
    drawn = Static().fix(images, "test").pixels
    assert set(np.unique(drawn)) == {0, 1}
    assert (drawn[pixels == 0] == 0).all()
    assert (drawn[pixels == 16] == 1).all()
    standard_error = np.sqrt(np.mean(pixels / 16 * (1 - pixels / 16)) / pixels.size)
    assert abs(drawn.mean() - pixels.mean() / 16) < 4 * standard_error


def test_static_and_dynamic_have_the_same_test_set_in_every_run():
    images = Images(digits.load(None, 237).test.pixels, 17)
    one, other = (binarization.fix(images, "test").pixels for binarization in (Static(), Dynamic()))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, Static().fix(images, "val").pixels)
