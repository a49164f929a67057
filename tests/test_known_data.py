"""Data sets of the field beside MNIST's: formats, splits, pins, padding, and the download script."""

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from conftest import CHECKOUT
from scipy.io import savemat

from vae_lab.config import compose, options
from vae_lab.config.settings import settings_of
from vae_lab.data import cifar10, fashion_mnist, freyfaces, gaussian_toy, idx, memory, mnist, omniglot, verified
from vae_lab.data.dataset import facts_of, identity, load
from vae_lab.errors import UsageError
from vae_lab.evaluation.pictures.frames import epoch_frames
from vae_lab.evaluation.pictures.views import views_of
from vae_lab.run.program import program_for

OWN = ("csv", "image_folder", "npz")


def option(name, **settings):
    chosen = options.read_option("data", name)
    return compose.plain(chosen.get("data", chosen)) | settings


def everything(dataset):
    return np.concatenate([split.pixels for split in dataset.splits().values()])


@pytest.mark.parametrize("name", sorted(set(options.option_names("data")) - {*OWN, "cifar10", "omniglot"}))
def test_identity_and_facts_are_those_of_the_loaded_data(name, request):
    needs_files = "dir" in option(name) and name != "digits"
    chosen = option(name, **({"dir": request.getfixturevalue("data_dir")} if needs_files else {}))
    dataset, facts = load(chosen), facts_of(chosen)
    assert identity(chosen) == dataset.sha256
    assert list(dataset.train.pixels.shape[1:]) == facts["image_shape"]
    assert dataset.levels == facts["levels"]
    assert dataset.train.pixels.dtype == (np.float32 if "values" in facts else np.uint8)
    assert len(dataset.val) == chosen["validation_size"]
    assert len(dataset.train) + (0 if "validation_rows" in facts else len(dataset.val)) == facts["training_rows"]


def test_identity_of_known_data_needs_no_files_and_no_tensorflow(tmp_path):
    known = sorted(set(options.option_names("data")) - {*OWN, "omniglot"})
    code = (
        "import sys\n"
        "from vae_lab.config import compose\n"
        "from vae_lab.data.dataset import identity\n"
        f"for name in {known}:\n"
        "    option = compose.plain(compose.compose_unchecked(f'data={name}').data)\n"
        "    print(name, identity(option))\n"
        "print([name for name in ('tensorflow', 'sklearn', 'mlflow') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "VAE_LAB_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    *lines, imported = done.stdout.splitlines()
    assert imported == "[]", done.stderr
    assert [line.split()[0] for line in lines] == known
    assert all(len(line.split()[1]) == 64 for line in lines)
    assert len({line.split()[1] for line in lines}) == len(known)


# Broken files of known data


def broken_files(folder):
    """For each data set with files the smallest wrong ones, by its name the file that is wrong."""
    wrong = {
        "mnist": ("train-images-idx3-ubyte.gz", gzip.compress(bytes(99))[:-9]),
        "fashion_mnist": ("train-images-idx3-ubyte.gz", b""),
        "freyfaces": ("freyfaces.npz", b"PK no archive"),
        "binarized_mnist": ("binarized_mnist_packed.npz", b"<html>"),
        "cifar10": ("cifar-10-binary.tar.gz", gzip.compress(bytes(999))[:-9]),
        "omniglot": ("chardata.mat", b"MATLAB 5.0 MAT-file, cut"),
    }
    for name, (file, content) in wrong.items():
        (folder / name).mkdir()
        for other in idx.FILES if "mnist" in name else ():
            (folder / name / other).write_bytes(b"whole, as far as anyone has looked")
        (folder / name / file).write_bytes(content)
    return {name: file for name, (file, _) in wrong.items()}


def test_broken_files_of_known_data_are_refused_in_a_line_before_tensorflow_is_there(tmp_path):
    wrong = broken_files(tmp_path)
    code = (
        "import sys\n"
        "from vae_lab.config.compose import compose\n"
        "from vae_lab.errors import UsageError\n"
        f"for name in {list(wrong)}:\n"
        "    try:\n"
        f"        compose(f'data={{name}}', 'data.dir={tmp_path}', 'encoder.hidden=[4]')\n"
        "    except UsageError as error:\n"
        "        print(f'{name}: {error}')\n"
        "print([name for name in ('tensorflow', 'keras', 'mlflow') if name in sys.modules])\n"
    )
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=60
    )
    *lines, imported = done.stdout.splitlines()
    assert imported == "[]", done.stderr
    for line, (name, file) in zip(lines, wrong.items(), strict=True):
        assert line.startswith(f"{name}: {tmp_path / name / file}")
        assert line.endswith(" again")
    assert not (tmp_path / "cache").exists()


def test_a_sweep_on_broken_files_says_so_once_and_starts_nothing(tmp_path):
    broken_files(tmp_path)
    done = subprocess.run(
        [sys.executable, "scripts/train.py", "-m", "data=mnist", f"data.dir={tmp_path}", "seed=0,1"],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "VAE_LAB_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.count("is not a complete gzip file") == 1
    assert "nothing has been started" in done.stderr
    assert not (tmp_path / "home" / "outputs" / "mlflow.db").exists()


@pytest.fixture
def loads(tmp_path, monkeypatch):
    """The options that are loaded to be verified, in a cache of the test's own."""
    read = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(verified, "load", lambda chosen: (read.append(chosen["name"]), load(chosen)))
    return read


def test_known_data_are_read_once_for_each_state_of_their_files(few_pictures, loads):
    folder, _, _ = few_pictures
    chosen = option("cifar10", dir=str(folder), validation_size=5)
    batch = folder / "cifar10" / cifar10.FOLDER / "test_batch.bin"
    whole = batch.read_bytes()
    for _ in range(3):
        verified.verify(chosen)
        verified.verify(chosen | {"validation_size": 4, "train_rows": 3})  # of the same files
    assert loads == ["cifar10"]
    batch.write_bytes(whole[:-1])
    for _ in range(2):
        with pytest.raises(UsageError, match=r"test_batch\.bin in .* has MD5"):
            verified.verify(chosen)
    batch.write_bytes(whole)
    os.utime(batch, (0, 0))
    verified.verify(chosen)
    assert loads == ["cifar10"] * 4


def test_known_data_are_verified_where_no_cache_can_be_written(few_pictures, loads, monkeypatch, tmp_path):
    folder, _, _ = few_pictures
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    for _ in range(2):
        verified.verify(option("cifar10", dir=str(folder), validation_size=5))
    assert loads == ["cifar10"] * 2


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "binarized_mnist", "freyfaces"])
def test_the_real_files_are_found_whole_once(name, data_dir, loads):
    for seed in (0, 1):
        compose.compose(f"data={name}", f"data.dir={data_dir}", f"seed={seed}")
    assert loads == [name]


def test_data_without_files_or_pins_are_not_read_to_be_verified(few_letters, loads):
    for chosen in (option("digits"), option("gaussian_toy"), few_letters[0]):
        verified.verify(chosen)
    assert loads == []


# Frey faces


def test_frey_faces_are_split_at_random_or_by_time(data_dir):
    with np.load(f"{data_dir}/freyfaces/freyfaces.npz") as archive:
        frames = archive["images"]
    in_order = freyfaces.load(data_dir, 200, None)
    np.testing.assert_array_equal(everything(in_order)[..., 0], frames)
    np.testing.assert_array_equal(in_order.test.pixels[..., 0], frames[-200:])
    at_random = freyfaces.load(data_dir, 200, 0)
    numbers = {frame.tobytes(): number for number, frame in enumerate(frames)}
    order = [numbers[frame.tobytes()] for frame in everything(at_random)]
    assert sorted(order) == list(range(1965))
    assert np.mean(order[-200:]) == pytest.approx(982, abs=4 * 567 / 200**0.5)  # of a uniform draw, 4 standard errors
    assert at_random.sha256 == in_order.sha256


def test_frey_faces_come_from_the_matlab_file_too(data_dir, tmp_path):
    frames = everything(freyfaces.load(data_dir, 200, None))
    (tmp_path / "freyfaces").mkdir()
    savemat(tmp_path / "freyfaces" / "frey_rawface.mat", {"ff": frames.reshape(1965, 560).T})
    np.testing.assert_array_equal(everything(freyfaces.load(str(tmp_path), 200, None)), frames)


def test_a_cut_archive_is_named(data_dir, tmp_path):
    for name, file in (("freyfaces", "freyfaces.npz"), ("binarized_mnist", "binarized_mnist_packed.npz")):
        (tmp_path / name).mkdir()
        with open(f"{data_dir}/{name}/{file}", "rb") as whole:
            (tmp_path / name / file).write_bytes(whole.read(5000))
        with pytest.raises(UsageError, match=file):
            load(option(name, dir=str(tmp_path)))


def test_frey_faces_without_a_file_say_what_to_put_where(tmp_path):
    with pytest.raises(UsageError) as error:
        compose.compose("data=freyfaces", f"data.dir={tmp_path}")
    assert f"data=freyfaces: no file in data.dir={tmp_path}" in str(error.value)
    assert "Put frey_rawface.mat" in str(error.value)


# OMNIGLOT


@pytest.fixture
def few_letters(tmp_path, monkeypatch):
    """A chardata.mat of 40 and 12 letters; the options of a data set that has it."""
    sizes = {"data": (784, 40), "target": (5, 40), "testdata": (784, 12), "testtarget": (5, 12)}
    monkeypatch.setattr(omniglot, "SHAPES", sizes)
    monkeypatch.setattr(omniglot, "KERAS_CACHE", tmp_path / "cache")
    draw = np.random.default_rng(0)
    upright = {"data": draw.random((40, 28, 28)), "testdata": draw.random((12, 28, 28))}
    columns = {name: images.transpose(0, 2, 1).reshape(-1, 784).T for name, images in upright.items()}
    labels = {name: np.eye(5)[:, np.arange(sizes[name][1]) % 5] for name in ("target", "testtarget")}
    (tmp_path / "omniglot").mkdir()
    savemat(tmp_path / "omniglot" / "chardata.mat", columns | labels)
    return option("omniglot", dir=str(tmp_path), validation_size=10), upright


def test_omniglot_letters_stand_upright_and_are_split_as_by_its_authors(few_letters):
    chosen, upright = few_letters
    dataset = load(chosen)
    np.testing.assert_array_equal(dataset.test.pixels[..., 0], upright["testdata"].astype(np.float32))
    assert dataset.test.labels.tolist() == (np.arange(12) % 5).tolist()
    order = np.random.RandomState(123).permutation(40)
    expected = upright["data"].astype(np.float32)[order]
    np.testing.assert_array_equal(dataset.train.pixels[..., 0], expected[:-10])
    np.testing.assert_array_equal(dataset.val.pixels[..., 0], expected[-10:])
    assert identity(chosen) == dataset.sha256


def test_omniglot_refuses_broken_files_and_others(few_letters):
    chosen, _ = few_letters
    path = omniglot.local_file(chosen["dir"])
    whole = path.read_bytes()
    for content in (whole[:5000], b"<html>", b""):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"chardata\.mat is not a complete MATLAB file"):
            load(chosen)
    savemat(path, {"data": np.zeros((784, 3))})
    with pytest.raises(UsageError, match=r"must have an array data of shape \[784, 40\]; it has \[784, 3\]"):
        load(chosen)
    savemat(path, {"data": np.full((784, 40), 255.0)})
    with pytest.raises(UsageError, match="must have an array target of shape"):
        load(chosen)


def test_omniglot_can_be_drawn_from_as_it_stands(few_letters):
    chosen, _ = few_letters
    cfg = compose.compose_unchecked("data=omniglot", f"data.dir={chosen['dir']}")
    from vae_lab.config.checks import ACROSS_AXES

    for check in ACROSS_AXES:
        check(cfg)


# CIFAR-10


@pytest.fixture
def few_pictures(tmp_path, monkeypatch):
    """The six files with four records each; the folder of data, pixels [24,32,32,3] and labels."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (24, 32, 32, 3)).astype(np.uint8)
    labels = draw.integers(0, 10, 24).astype(np.uint8)
    records = np.column_stack([labels, pixels.transpose(0, 3, 1, 2).reshape(24, 3072)])
    here = tmp_path / "cifar10" / cifar10.FOLDER
    here.mkdir(parents=True)
    sums = {}
    for name, rows in zip(cifar10.MD5, np.split(records, 6), strict=True):
        (here / name).write_bytes(rows.tobytes())
        sums[name] = hashlib.md5(rows.tobytes()).hexdigest()
    monkeypatch.setattr(cifar10, "MD5", sums)
    monkeypatch.setattr(cifar10, "KERAS_CACHE", tmp_path / "cache")
    return tmp_path, pixels, labels


def test_cifar10_reads_folder_and_archive_alike(few_pictures):
    folder, pixels, labels = few_pictures
    batches = folder / "cifar10" / cifar10.FOLDER
    for _ in range(2):
        assert cifar10.available(str(folder))
        dataset = cifar10.load(str(folder), 5)
        assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [15, 5, 4]
        np.testing.assert_array_equal(everything(dataset), pixels)
        np.testing.assert_array_equal(np.concatenate([s.labels for s in dataset.splits().values()]), labels)
        if batches.is_dir():  # the second time from the archive
            with tarfile.open(folder / "cifar10" / cifar10.ARCHIVE, "w:gz") as archive:
                archive.add(batches, cifar10.FOLDER)
            batches.rename(folder / "elsewhere")
    assert not cifar10.available(str(folder / "cifar10"))


def test_cifar10_refuses_other_and_broken_files(few_pictures):
    folder, _, _ = few_pictures
    batch = folder / "cifar10" / cifar10.FOLDER / "test_batch.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"test_batch\.bin in .* has MD5 .*; get it again"):
        cifar10.load(str(folder), 5)
    batch.unlink()
    assert not cifar10.available(str(folder))
    archive = folder / "cifar10" / cifar10.ARCHIVE
    with tarfile.open(archive, "w:gz") as new:
        new.add(batch.parent, cifar10.FOLDER)
    with pytest.raises(UsageError, match=r"has no test_batch\.bin; get cifar-10-binary\.tar\.gz again"):
        cifar10.load(str(folder), 5)
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(UsageError, match="is not a complete archive"):
        cifar10.load(str(folder), 5)


# The Gaussian toy


def test_gaussian_toy_is_what_it_says():
    dataset = gaussian_toy.load(1000)
    x = everything(dataset)
    assert x.shape == (12_000, 1, 10, 1)
    np.testing.assert_array_equal(x.max(axis=(1, 2, 3)), 1.0)
    # A row is N(3, 1.75^2) over its largest entry, which is 3 + 1.75 * 1.5388 on average (order statistics of ten).
    below_zero = 0.04323  # the standard normal's cumulative probability at -3 / 1.75
    assert (x < 0).mean() == pytest.approx(below_zero, abs=4 * (below_zero / x.size) ** 0.5)
    assert len(np.unique(x.argmax(axis=2))) == 10


def test_gaussian_toy_trains_and_is_drawn(program):
    cfg, pixels, built = program("data=gaussian_toy", "likelihood=normal", "training.jit=false")
    assert cfg.options["binarization"]["name"] == "none"
    assert pixels.train.pixels.dtype == np.float32
    before = built.elbo(pixels.fixed["test"], 1, 0)["elbo"].mean()
    results = list(built.trainer.train(pixels.train.pixels, 0, 1))
    after = built.elbo(pixels.fixed["test"], 1, 0)["elbo"].mean()
    assert results[-1].complete
    assert after > before
    # Ten unit-variance Gaussians score at most -5 log(2 pi) nats.
    assert after < -5 * np.log(2 * np.pi)
    views = views_of(built.model, pixels.train.pixels.shape[1:])
    for picture in epoch_frames(views, pixels.fixed["test"], seed=0).values():
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3


# Padding


def test_padding_puts_zeros_around_and_odd_rows_below():
    images = np.arange(1, 13, dtype=np.uint8).reshape(2, 2, 3)
    padded = idx.padded(images, (5, 5))
    assert padded.shape == (2, 5, 5)
    np.testing.assert_array_equal(padded[:, 1:3, 1:4], images)
    assert padded.sum() == images.sum()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_padded_images_have_the_shape_that_the_checks_are_told(name, data_dir):
    cfg = compose.compose(
        f"data={name}", f"data.dir={data_dir}", "data.pad_to=[32,32]", "decoder=conv", "decoder.base=[8,8,4]"
    )
    dataset = load(cfg.data)
    assert list(dataset.test.pixels.shape[1:]) == facts_of(cfg.data)["image_shape"] == [32, 32, 1]
    plain = {"mnist": mnist, "fashion_mnist": fashion_mnist}[name].load(data_dir, 10_000)
    np.testing.assert_array_equal(dataset.test.pixels[:, 2:30, 2:30], plain.test.pixels)
    assert dataset.test.pixels.sum() == plain.test.pixels.sum()
    assert dataset.sha256 == plain.sha256 == identity(cfg.data)


def test_padding_that_no_memory_holds_is_refused_with_the_figures(tmp_path):
    with pytest.raises(UsageError) as error:
        compose.compose("data=mnist", f"data.dir={tmp_path}", "data.pad_to=[100000,100000]")
    needed = "data.pad_to=[100000, 100000] of 70,000 images needs 700,000,000,000,000 bytes of memory, and there are"
    assert str(error.value).startswith(f"{needed} {memory.limit():,}; pad to less")


@pytest.mark.parametrize("wrong", ["[20,32]", "32", "[32,32,1]", "[32.5,32]"])
def test_padding_that_cuts_is_refused(wrong, tmp_path):
    with pytest.raises(UsageError, match="must be a height and a width of at least 28"):
        compose.compose("data=mnist", f"data.dir={tmp_path}", f"data.pad_to={wrong}")


# One program a shape


def test_files_of_other_shapes_get_programs_of_their_own(tmp_path):
    from vae_lab.run.program import images_of

    shapes, programs = ((20, 2, 3), (20, 3, 2)), []
    for number, shape in enumerate(shapes):
        path = tmp_path / f"{number}.npz"
        np.savez(path, x=np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))
        cfg = compose.compose("data=npz", f"data.path={path}", "training.batch_size=4", "encoder.hidden=[4]")
        settings = settings_of(cfg)
        programs.append(program_for(settings, images_of(settings)))
    assert [built.model.encoder.input_shape[1:] for built in programs] == [(2, 3, 1), (3, 2, 1)]


# The download script


def run_script(*words, **env):
    return subprocess.run(
        [sys.executable, "scripts/download_data.py", *words],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_download_says_what_is_there_already(data_dir):
    done = run_script("mnist", "binarized_mnist", VAE_LAB_DATA=data_dir)
    assert done.returncode == 0, done.stderr
    folder = Path(data_dir).resolve()
    assert done.stdout.splitlines() == [
        f"mnist: there already, 70000 rows, {folder}/mnist",
        f"binarized_mnist: there already, 70000 rows, {folder}/binarized_mnist",
    ]


def test_download_refuses_what_it_cannot_get():
    done = run_script("digits", "dir=/tmp")
    assert done.returncode == 2
    assert done.stderr.strip() == "digits is not one of: binarized_mnist, cifar10, fashion_mnist, mnist, omniglot"
    done = run_script("mnist")
    assert done.returncode == 2
    assert "say dir=FOLDER, or set VAE_LAB_DATA" in done.stderr


def test_what_fetch_writes_is_what_load_reads(tmp_path, monkeypatch):
    import keras

    draw = np.random.default_rng(0)
    arrays = [draw.integers(0, 256, shape).astype(np.uint8) for shape in ((9, 28, 28), (9,), (4, 28, 28), (4,))]
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (tuple(arrays[:2]), tuple(arrays[2:])))
    assert not mnist.in_folder(tmp_path)
    mnist.fetch(tmp_path)
    assert mnist.in_folder(tmp_path)
    for name, array in zip(idx.FILES, arrays, strict=True):
        np.testing.assert_array_equal(idx.read_idx(tmp_path / "mnist" / name), array)
    assert sorted(path.name for path in (tmp_path / "mnist").iterdir()) == sorted(idx.FILES)


@pytest.mark.parametrize("module", [cifar10, omniglot])
def test_without_files_and_network_one_error_says_what_to_put_where(module, tmp_path, monkeypatch):
    import keras

    def no_network(*arguments, **settings):
        raise OSError("no route to host")

    monkeypatch.setattr(keras.utils, "get_file", no_network)
    monkeypatch.setattr(module, "KERAS_CACHE", tmp_path / "cache")
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(UsageError) as error:
        load(option(name, dir=str(tmp_path)))
    assert f"data={name}: no files in data.dir={tmp_path}, and the download failed (no route to host)" in str(
        error.value
    )
    assert f"into {tmp_path}/{name}." in str(error.value)
    with pytest.raises(UsageError, match="the download failed"):
        module.fetch(tmp_path)
