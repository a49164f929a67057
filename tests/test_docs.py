"""The documentation: its commands work, its pages say what the code says, and its site needs no network."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser

import leaned_on
import numpy as np
import pytest
import yaml
from conftest import CHECKOUT
from documented import blocks, script_of, steps
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from omegaconf import OmegaConf

from vae_lab import protocols
from vae_lab.config.compose import compose, compose_unchecked
from vae_lab.config.described import NO_SETTINGS, dotted
from vae_lab.config.options import option_names
from vae_lab.config.project import KEYS
from vae_lab.study.expectations import read_expectations
from vae_lab.study.plan import check_study, plan, to_override

sys.path.insert(0, str(CHECKOUT / "docs" / "hooks"))
import notebook_pages
import option_pages
import site_pages

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
STEPS = [step for page in PAGES for step in steps(page)]
RUN = [step for step in STEPS if step.mode == "run"]
CHECKED = [step for step in STEPS if step.mode == "checked"]
# Every subcommand of `vae-lab`; those that have a script are one with it.
SUBCOMMANDS = ["train", "evaluate", "report", "reproduce", "watch", "doctor", "pairs", "data", "compare", "new", "ui",
               "schema"]  # fmt: skip


# Commands


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each command that is run: by its place, (exit code, output). One home, one process."""
    home = tmp_path_factory.mktemp("documented")
    given = [{"page": one.page, "language": one.language, "text": one.text, "note": one.note} for one in RUN]
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "tests" / "documented.py")],
        input=json.dumps(given),
        cwd=home,
        env={**os.environ, "VAE_LAB_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [number for number, *_ in lines] == list(range(len(RUN))), done.stderr
    return {str(RUN[number]): (code, printed) for number, code, printed in lines}


@pytest.mark.slow
@pytest.mark.parametrize("step", RUN, ids=str)
def test_a_documented_command_works(step, outcomes):
    code, printed = outcomes[str(step)]
    assert code == 0, printed


@pytest.mark.parametrize("step", CHECKED, ids=str)
def test_a_documented_command_that_is_not_run_is_known_and_composes(step):
    words = step.words
    if words[:2] == ["uv", "run"]:
        words = words[2:]
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[0] == "vae-lab" or words[1].startswith("scripts/"):
        name, rest = script_of(words)
        if words[0] == "vae-lab":
            assert words[1] in (*SUBCOMMANDS, "--help")
        else:
            assert (CHECKOUT / "scripts" / f"{name}.py").is_file()
        if name == "train":
            compose_unchecked(*single(rest))
    else:
        assert (CHECKOUT / (words[1] if words[0] == "python" else words[0])).is_file()


# Named by pages whose reader has written them.
OF_THE_READER = ("experiment=latents", "prior=scaled")


def single(words):
    """A command line's overrides, each with the first of its values."""
    parser, found = OverridesParser.create(), []
    for word in words:
        if word.startswith(("-", "hydra")) or word in OF_THE_READER:
            continue
        override = parser.parse_override(word)
        if override.is_interval_sweep() or isinstance(override.value(), IntervalSweep):
            found.append(to_override(override.key_or_group, override.value().start))
        elif override.is_sweep_override():
            found.append(to_override(override.key_or_group, next(override.sweep_iterator())))
        else:
            found.append(word)
    return found


def test_steps_are_found_where_they_stand(tmp_path):
    page = CHECKOUT / "docs" / "tutorial.md"
    lines = page.read_text().splitlines()
    for step in steps(page):
        if step.language == "console":
            assert step.text.startswith(lines[step.line - 1].removesuffix("\\"))
    assert any(step.mode == "run" for step in steps(page))


def test_words_of_a_note_take_the_place_of_their_like():
    from documented import shortened

    assert shortened(["-m", "seed=0,1", "training.epochs=30"], "training.epochs=1 short=true") == [
        "-m",
        "seed=0,1",
        "training.epochs=1",
        "short=true",
    ]


def written(page, language):
    """The blocks of a page that its reader writes into files, in that language."""
    text = (CHECKOUT / "docs" / page).read_text()
    return ["\n".join(lines) + "\n" for _, _, _, named, lines in blocks(text) if named == language]


def test_the_study_that_the_tutorial_has_the_reader_write_is_one():
    (file,) = written("tutorial.md", "yaml")
    content = yaml.safe_load(file)
    check_study(content["study"])
    jobs = plan(content["study"], {})
    assert len(jobs) == 6
    for job in jobs:
        assert compose(*job.overrides, f"training.epochs={content['training']['epochs']}").data.name == "digits"
    assert read_expectations(content["study"])


def test_the_prior_that_a_project_has_the_reader_write_keeps_to_its_role():
    import tensorflow as tf

    source, check = written("own-project.md", "python")
    names = {}
    exec(compile(source, "scaled.py", "exec"), names)
    (option,) = (yaml.safe_load(text) for text in written("own-project.md", "yaml"))
    prior = names["Scaled"](latent_shape=(3,), scale_floor=option["scale_floor"])
    assert isinstance(prior, protocols.Prior)
    with tf.GradientTape() as tape:
        distribution = prior.distribution(None)
        loss = -tf.reduce_mean(distribution.log_prob(tf.ones((4, 3))))
    assert distribution.event_shape == [3]
    assert distribution.batch_shape == []
    assert all(gradient is not None for gradient in tape.gradient(loss, prior.trainable_weights))
    assert distribution.stddev().numpy() == pytest.approx(3 * [np.log(2) + option["scale_floor"]], rel=1e-6)
    assert option["_target_"].rpartition(".")[2] == "Scaled"
    assert 'check_part("prior", "scaled")' in check


def test_the_table_that_makes_a_project_has_the_keys_that_are_read():
    (table,) = written("own-project.md", "toml")
    assert set(tomllib.loads(table)["tool"]["vae_lab"]) == set(KEYS)


# Generated pages

AXES = [*site_pages.AXES, *site_pages.GROUPS]


@pytest.mark.parametrize("axis", AXES)
def test_a_page_tells_every_option_with_every_setting_and_its_default(axis):
    page = site_pages.axis_page(axis, "", only=axis in site_pages.GROUPS)
    for name in option_names(axis):
        content = OmegaConf.to_container(OmegaConf.load(CHECKOUT / "conf" / axis / f"{name}.yaml"))
        content = content.get(axis, content) if isinstance(content.get(axis), dict) else content
        told = option_pages.read_option(axis, name)
        wanted = dict(dotted({key: value for key, value in content.items() if key not in NO_SETTINGS}))
        assert list(told.settings) == list(wanted)
        for key, value in wanted.items():
            default = option_pages.as_yaml(told.settings[key].default)
            assert f"| `{axis}.{key}` | `{default}` |" in page
            assert OmegaConf.to_container(OmegaConf.create(f"x: {default}"))["x"] == value
        for fact in content.get("facts") or {}:
            assert f"`{fact}: " in page


def test_the_page_of_facts_explains_each_and_says_who_states_it():
    stated = {}
    for axis in AXES:
        for name in option_names(axis):
            for fact in option_pages.read_option(axis, name).facts:
                stated.setdefault(fact, set()).add(axis)
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", (CHECKOUT / "docs" / "facts.md").read_text(), re.MULTILINE)
    assert {fact: set(axes.split(", ")) for fact, axes in rows} == stated


def test_words_beside_a_setting_are_those_of_its_file():
    mixture = option_pages.read_option("prior", "mixture")
    assert mixture.heading == "A learned mixture of Gaussians."
    assert mixture.settings["covariance"].words == "diag, or full for flat latents"
    stopping = option_pages.read_option("training", "default").settings
    assert stopping["early_stopping.start_from_epoch"].words.startswith("epochs that are not counted")
    fixed = option_pages.read_option("data", "binarized_mnist").settings
    assert fixed["validation_size"].words == "its own validation file, or 0 to leave that out"


@pytest.mark.parametrize("axis", ["encoder", "decoder", "posterior", "prior", "likelihood", "estimator"])
def test_a_page_holds_the_docstring_of_every_class_and_its_references(axis):
    page = site_pages.axis_page(axis, "")
    for name in option_names(axis):
        target = option_pages.read_option(axis, name).target
        text = " ".join(option_pages.docstrings(target)[0].split())
        assert option_pages.escaped(text.split(". ")[0].rstrip(".")) in page, name
        for reference in re.findall(r"References: (\w+)", text):
            assert f"**References:** {reference}" in page


def test_escaped_text_reads_as_it_was_written():
    import markdown

    text = "q(z|x) [B,H,W,C] = sum_k w_k * N(loc_k) < 1, `a_b[0] * c`, *latent_shape"
    html = markdown.markdown(option_pages.escaped(text), extensions=["tables"])
    assert html == ("<p>q(z|x) [B,H,W,C] = sum_k w_k * N(loc_k) &lt; 1, <code>a_b[0] * c</code>, *latent_shape</p>")


# Messages


def texts_of_the_product():
    """Every piece of text that the code holds, between the values that it fills in."""
    for top in ("vae_lab", "scripts"):
        for path in (CHECKOUT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_messages_are_explained_as_they_are_printed():
    page = (CHECKOUT / "docs" / "troubleshooting.md").read_text()
    explained, printed = re.findall(r"^### `(.+)`$", page, re.MULTILINE), list(texts_of_the_product())
    assert len(explained) > 20
    for message in explained:
        assert any(message in text for text in printed), message


# The site


class Assets(HTMLParser):
    """What a page has the browser load: scripts, styles, pictures, frames."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed"):
            self.found.append(given.get("src"))
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(given.get("href"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=CHECKOUT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        assets = Assets()
        assets.feed(page.read_text())
        for address in filter(None, assets.found):
            assert not re.match(r"(\w+:)?//", address) or address.startswith("data:"), f"{page.name}: {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text()), style


@pytest.mark.slow
def test_the_site_has_a_page_for_every_axis_and_lesson_and_no_file_of_code(site):
    for name in (*AXES, "index", "pairs"):
        assert (site / "parts" / f"{name}.html").is_file()
    for path in notebook_pages.notebook_paths():
        assert (site / "lessons" / f"{path.stem}.html").is_file()
    assert not list(site.rglob("*.py"))
    assert "load_run" in (site / "reference.html").read_text()
    assert "does not have with prior=mixture" in (site / "parts" / "pairs.html").read_text()


# Lessons


@pytest.mark.parametrize("path", notebook_pages.notebook_paths(), ids=lambda path: path.stem)
def test_a_lesson_is_a_notebook_of_text_and_code(path):
    cells = notebook_pages.cells(path.read_text())
    assert cells[0][0] == "markdown"
    assert cells[0][1].startswith("# ")
    assert {kind for kind, _ in cells} == {"markdown", "code"}
    for kind, text in cells:
        if kind == "code":
            ast.parse(text)


# What we lean on


@pytest.mark.parametrize("name", leaned_on.LISTS)
def test_the_page_of_risks_lists_what_is_used_of_other_libraries(name):
    """`python tests/leaned_on.py` writes the lists anew: a new name in them is a new risk to think of."""
    assert leaned_on.listed(name) == sorted(leaned_on.LISTS[name]())
