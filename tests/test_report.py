"""Reports of a real store: which runs count, what the page holds, what a browser makes of it."""

import csv
import io
import json
import math
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from conftest import CHECKOUT
from PIL import Image
from scipy import integrate, stats

from vae_lab.commands.reproduce import exit_code
from vae_lab.errors import UsageError
from vae_lab.report.curves import curves_of
from vae_lab.report.docs_page import results_markdown
from vae_lab.report.export import export
from vae_lab.report.files import files, write_files
from vae_lab.report.headline import headline
from vae_lab.report.planned import study_of_sweep
from vae_lab.report.published_figure import values_in, write_published
from vae_lab.report.report import gather
from vae_lab.report.results_folder import read_results, results_of, write_results
from vae_lab.report.screen import show_report
from vae_lab.report.selection import StudyRuns, find_runs
from vae_lab.report.sheets import sheets_of
from vae_lab.report.table import latex_text
from vae_lab.study.identity import Identity
from vae_lab.study.study import PlannedJob, make_study
from vae_lab.tracking.artifacts import artifact
from vae_lab.tracking.records import metric_history, read_run, runs_with_tag
from vae_lab.tracking.standing import adopt_alike, standings
from vae_lab.tracking.store import Store, open_store
from vae_lab.tracking.tracked_run import TrackedRun

NAME = "toy"
ARMS = {"plain": ["prior=mvn"], "mixed <b>": ["prior=mixture"], "cut": ["binarization=threshold"]}
CONTENT = {
    "question": "Does a <mixture> help?",
    "arms": ARMS,
    "metric": "test/elbo",
    "expected": [
        {"arm": "plain", "value": -90, "tolerance": 1, "source": "a table", "mark": "S"},
        {"arm": "plain", "value": -80, "tolerance": 1, "source": "hearsay", "mark": "M"},
        {"difference": ["mixed <b>", "plain"], "between": [2, None], "source": "a paper", "mark": "Q"},
        {"arm": "cut", "metric": "test/log_likelihood", "value": 0, "tolerance": 1, "source": "a paper", "mark": "Q"},
    ],
}
GAIN = {"plain": 0.0, "mixed <b>": 1.0, "cut": 30.0}
IMAGES = 50


def identity(arm, seed, epochs=10, code="0123"):
    """What a run of an arm is the result of."""
    trained = {"prior.name": arm, "training.epochs": epochs, "seed": seed}
    return Identity(trained, {"evaluation.samples": 1}, "abc", {"vae_lab/prior/mixture.py": code}, {})


def log_run(store, parent, arm, seed, status="FINISHED", gain=0.0, of=None, tags=None):
    """A run as a job of a sweep leaves it."""
    of = of or identity(arm, seed)
    binarization = "threshold" if arm == "cut" else "static"
    tags = {
        "vae_lab.kind": "run",
        "vae_lab.arm": arm,
        "vae_lab.experiment": NAME,
        "vae_lab.scored.test": binarization,
        "mlflow.source.git.commit": "c0ffee",
        **of.tags(),
    } | (tags or {})
    run = TrackedRun(store, f"{arm}-s{seed}", tags, parent)
    run.params({"seed": seed, "binarization.name": binarization, "prior.name": arm, "likelihood.facts.discrete": True})
    run.text(of.to_json(), "identity.json")
    elbo = -90.0 + 0.1 * seed + GAIN.get(arm, 0.0) + gain
    for epoch in range(1, 6):
        run.metrics({"val/elbo": elbo - 5 / epoch, "running/elbo": elbo - 4 / epoch}, epoch)
    if status == "FINISHED":
        values = elbo + np.linspace(-1, 1, IMAGES)
        run.metrics({"test/elbo": values.mean(), "test/rate": 25.0 + seed, "test/distortion": -elbo - 25 - seed}, 5)
        run.arrays({"elbo": values, "rate": values}, "evaluation/test.npz")
        run.text(f"seed: {seed}\n", "config.yaml")
        for epoch in (0, 5, 10):
            run.image("prior_samples", np.full((8, 12, 3), epoch * 20, np.uint8), epoch)
    run.finish(status)
    return run.run_id


def planned(arm, seed):
    """A job of the study."""
    of = identity(arm, seed)
    return PlannedJob(arm, seed, (*ARMS[arm], "experiment=toy", f"seed={seed}"), of.evaluation, of)


def in_plan(job, **others):
    """A job as a sweep's plan.json has it."""
    return {"arm": job.arm, "overrides": job.overrides, "evaluation": job.evaluation} | others


OTHER = PlannedJob("plain", 0, (), "an identity that no run has")
JOBS = [planned(arm, seed) for arm in ARMS for seed in (0, 1)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return open_store(f"sqlite:///{folder}/mlflow.db", "tests", str(folder / "artifacts"))


@pytest.fixture(scope="module")
def ids(store):
    """One sweep as it should be, and what else happens to a study."""
    parent = TrackedRun(store, NAME, {"vae_lab.kind": "sweep", "vae_lab.command": "python train.py"})
    parent.text(json.dumps([in_plan(job) for job in JOBS]), "plan.json")
    found = {"parent": parent.run_id}
    found["old plain"] = log_run(store, parent.run_id, "plain", 0, gain=-50)
    found["edited"] = log_run(store, parent.run_id, "plain", 1, gain=-50, of=identity("plain", 1, code="4567"))
    found["quick"] = log_run(store, parent.run_id, "plain", 1, gain=-50, of=identity("plain", 1, epochs=3))
    for seed in (0, 1):
        found[f"plain {seed}"] = log_run(store, parent.run_id, "plain", seed)
        found[f"cut {seed}"] = log_run(store, parent.run_id, "cut", seed)
    found["mixed 0"] = log_run(store, parent.run_id, "mixed <b>", 0)
    found["failed"] = log_run(store, parent.run_id, "mixed <b>", 1, "FAILED", tags={"vae_lab.error": "ValueError: no"})
    found["stranger"] = log_run(store, parent.run_id, "vamp", 0)
    parent.finish("FINISHED")
    return found


@pytest.fixture(scope="module")
def study():
    return make_study(NAME, CONTENT, JOBS, "python scripts/train.py experiment=toy")


@pytest.fixture(scope="module")
def report(store, ids, study):
    return gather(store, study)


def test_columns_of_the_table_can_be_chosen(store, ids, study, report):
    chosen = gather(store, study, columns=["test/rate", "test/elbo"])
    assert chosen.table.header() == chosen.short_table.header() == ["arm", "runs", "test/rate", "test/elbo"]
    elbo = str(report.table.rows[0].cells["test/elbo"])
    assert chosen.table.lines()[0] == ["plain", "2", "25.50 ± 0.50", elbo]
    texts = files(chosen)
    assert "test/rate mean" in texts["table.csv"]
    assert "test/rate & test/elbo" in texts["table.tex"]
    assert not any("distortion" in texts[name] for name in ("table.md", "table.csv", "table.tex"))
    assert headline(chosen) == headline(report)
    wrong = "columns=test/elb is no metric of these runs; they have test/distortion, test/elbo, test/rate"
    with pytest.raises(UsageError, match=wrong):
        gather(store, study, columns=["test/elb"])


def test_a_run_that_was_only_evaluated_shows_the_curves_and_pictures_of_its_training(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "tests", str(tmp_path / "artifacts"))
    trained = log_run(store, None, "plain", 7)
    evaluated = TrackedRun(store, "plain-s7", {"vae_lab.trained_by": trained})
    evaluated.metrics({"val/elbo": -1.0}, 5)
    evaluated.finish("FINISHED")
    runs = StudyRuns({"plain": {7: read_run(store, evaluated.run_id)}}, [], [], [], [])
    curve = curves_of(store, "test/elbo", runs)["val/elbo"]["plain"]
    np.testing.assert_array_equal(curve.epochs, range(1, 6))
    assert sheets_of(store, runs, tmp_path)["prior_samples"]["plain"][:2] == (7, 10)


def test_one_finished_run_an_arm_and_seed_counts_and_all_others_are_listed(report, ids):
    counted = {run.run_id for run in report.runs.all}
    assert counted == {ids[name] for name in ("plain 0", "plain 1", "cut 0", "cut 1", "mixed 0")}
    why = {one.run.run_id if one.run else one.state: (one.state, one.why) for one in report.runs.aside}
    assert why[ids["old plain"]] == ("FINISHED", f"{ids['plain 0'][:8]} of the same seed is newer")
    assert why[ids["edited"]] == ("stale", "code: vae_lab/prior/mixture.py")
    assert why[ids["quick"]] == ("stale", "training.epochs 3 -> 10")
    assert why[ids["failed"]] == ("FAILED", "ValueError: no")
    assert why[ids["stranger"]] == ("stale", "its arm is none of the study's")
    assert why["missing"] == ("missing", "no finished run")
    assert len(why) == 6
    assert report.finished == 5


def test_a_sweeps_own_runs_come_first_and_others_where_it_has_none(study, tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "tests", str(tmp_path / "artifacts"))
    parent = TrackedRun(store, NAME, {"vae_lab.kind": "sweep"})
    own = log_run(store, parent.run_id, "plain", 0)
    parent.finish("FINISHED")
    reused = log_run(store, None, "plain", 1, tags={"vae_lab.arm": "another study's", "vae_lab.experiment": "other"})
    newer = log_run(store, None, "plain", 0)
    log_run(store, None, "plain", 3, "FAILED")
    everything = find_runs(store, study)
    assert {seed: run.run_id for seed, run in everything.counted["plain"].items()} == {0: newer, 1: reused}
    assert everything.counted["plain"][1].tags["vae_lab.arm"] == "plain"
    of_sweep = find_runs(store, study, parent.run_id)
    assert {seed: run.run_id for seed, run in of_sweep.counted["plain"].items()} == {0: own, 1: reused}
    assert [one.state for one in of_sweep.aside] == ["missing"] * 4


def test_what_differs_in_the_environment_of_counted_runs_is_said(study, tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "tests", str(tmp_path / "artifacts"))
    for seed, (commit, device) in enumerate((("1111", "CPU"), ("2222", "GPU"))):
        log_run(store, None, "plain", seed, tags={"mlflow.source.git.commit": commit, "device.kind": device})
    assert find_runs(store, study).notes == [
        "1 of 2 runs has another commit (1111) than the newest (2222): plain-s0",
        "1 of 2 runs has another device (CPU) than the newest (GPU): plain-s0",
    ]


def test_a_run_that_was_adopted_counts_and_is_said_to_be_of_other_code(study, tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db", "tests", str(tmp_path / "artifacts"))
    old = log_run(store, None, "plain", 0, of=identity("plain", 0, code="4567"))
    log_run(store, None, "plain", 1, of=identity("plain", 1, epochs=3))
    jobs = [job.identity for job in JOBS[:2]]
    assert [one.done for one in standings(store, jobs)] == [False, False]
    ((adopted, code),) = adopt_alike(store, jobs)
    assert (adopted.run_id, code) == (old, "vae_lab/prior/mixture.py")
    assert [one.done for one in standings(store, jobs)] == [True, False]
    found = find_runs(store, study)
    assert found.counted["plain"][0].run_id == old
    told = "1 of 1 runs were made by other code (vae_lab/prior/mixture.py) and adopted by sweep.accept=code"
    assert told in found.notes
    assert adopt_alike(store, jobs) == []


def test_table_differences_and_verdicts_are_those_of_the_logged_numbers(report):
    plain, mixed, cut = report.table.rows
    assert (plain.cells["test/elbo"].mean, plain.cells["test/elbo"].error) == pytest.approx((-89.95, 0.05))
    assert (mixed.finished, mixed.runs, cut.finished) == (1, 2, 2)
    by_arm = {one.arm: one for one in report.comparisons}
    assert by_arm["mixed <b>"].over_seeds.mean == pytest.approx(1.0)
    assert by_arm["mixed <b>"].over_images[:2] == pytest.approx((IMAGES, 1.0))
    assert by_arm["cut"].refused.endswith("other pixels: binarization.name threshold against static")
    says = [verdict.says() for verdict in report.verdicts]
    assert says == ["met", "not judged, from memory (missed by 8.95)", "incomplete (missed by 1 so far)", "not run"]
    assert len(report.judged) == 3
    assert exit_code(report) == 1
    assert (
        exit_code(replace(report, study=replace(report.study, jobs=tuple(JOBS[:1])), verdicts=report.verdicts[:2])) == 0
    )


def read_csv(text):
    """The lines of a CSV file."""
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def of_six_seeds(tmp_path_factory):
    """A study in which every kind of number is there, one seed of it lost."""
    folder, draw = tmp_path_factory.mktemp("six"), np.random.default_rng(7)
    store = open_store(f"sqlite:///{folder}/mlflow.db", "tests", str(folder / "artifacts"))
    arms = {"plain": ["prior=mvn"], "mixed <b>": ["prior=mixture"], "vamp": ["prior=vamp"]}
    expected = [
        {"arm": "plain", "value": -90, "tolerance": 1, "source": "a table", "mark": "S"},
        {"difference": ["mixed <b>", "plain"], "between": [0, None], "source": "a paper", "mark": "Q"},
        {"difference": ["vamp", "mixed <b>"], "between": [-1, 0.1], "source": "a paper", "mark": "Q"},
        {"difference": ["vamp", "plain"], "metric": "test/rate", "between": [-1, 1], "source": "us", "mark": "C"},
    ]
    content = {"arms": arms, "metric": "test/elbo", "smallest_effect": 0.2, "expected": expected}
    jobs = []
    for arm, overrides in arms.items():
        for seed in range(6):
            of = identity(arm, seed)
            jobs.append(PlannedJob(arm, seed, (*overrides, f"seed={seed}"), of.evaluation, of))
            status = "FAILED" if (arm, seed) == ("vamp", 5) else "FINISHED"
            log_run(store, None, arm, seed, status, gain=draw.normal(0, 0.3))
    return gather(store, make_study(NAME, content, jobs, "none"))


def test_every_number_of_the_files_follows_from_the_listed_runs_by_scipy(of_six_seeds):
    texts = files(of_six_seeds)
    runs = {(row["arm"], int(row["seed"])): row for row in read_csv(texts["runs.csv"]) if row["state"] == "counted"}

    def values(arm, metric, other=None):
        seeds = [seed for of, seed in runs if of == arm and (other is None or (other, seed) in runs)]
        return np.array([float(runs[arm, seed][metric]) for seed in seeds])

    def difference(arm, other, metric):
        return values(arm, metric, other) - values(other, metric, arm)

    def told(row, *names):
        return [float(row[name]) for name in names]

    for row in read_csv(texts["table.csv"]):
        sample = values(row["arm"], "test/elbo")
        interval = stats.t.interval(0.95, len(sample) - 1, sample.mean(), stats.sem(sample))
        names = [f"test/elbo {part}" for part in ("mean", "standard error", "95% low", "95% high")]
        assert told(row, *names) == pytest.approx([sample.mean(), stats.sem(sample), *interval])
        assert row["lost seeds"] == str(row["arm"] == "vamp")
    rows, claims = read_csv(texts["differences.csv"]), read_csv(texts["verdicts.csv"])
    tests = {(row["arm"], "plain"): stats.ttest_1samp(difference(row["arm"], "plain", "test/elbo"), 0) for row in rows}
    between = difference("vamp", "mixed <b>", "test/elbo")
    nearer = max(stats.ttest_1samp(between, end).pvalue for end in (-1, 0.1))
    p_values = [tests["mixed <b>", "plain"].pvalue, tests["vamp", "plain"].pvalue, nearer]
    corrected = holm_of(p_values)
    for number, row in enumerate(rows):
        test = tests[row["arm"], "plain"]
        assert told(row, "seeds p", "seeds p Holm") == pytest.approx([test.pvalue, corrected[number]])
        assert told(row, "seeds 95% low", "seeds 95% high") == pytest.approx(tuple(test.confidence_interval()))
        spread, count = difference(row["arm"], "plain", "test/elbo").std(ddof=1), int(row["seeds needed"])
        power = [power_of(0.2 / spread, seeds, 0.05 / 3) for seeds in (count - 1, count)]
        assert power[0] < 0.8 <= power[1]
        assert (row["family"], row["lost seeds"]) == ("3", str(row["arm"] == "vamp"))
    plain = values("plain", "test/elbo")
    of_value = max(stats.ttest_1samp(plain, end).pvalue for end in (-91, -89))
    assert told(claims[0], "p", "p corrected") == pytest.approx([of_value, of_value])
    assert told(claims[1], "p", "p corrected") == pytest.approx([p_values[0], corrected[0]])
    assert told(claims[2], "mean", "p", "p corrected") == pytest.approx([between.mean(), nearer, corrected[2]])
    assert claims[3]["p"] == "nan"  # rates that differ by nothing in every seed
    for claim, one in zip(claims, of_six_seeds.verdicts, strict=True):
        assert claim["decided"] == str(one.state in ("met", "missed") and float(claim["p corrected"]) <= 0.05)


def holm_of(p_values):
    """Holm's correction, by its definition: the largest, so far, of the p-value times how many are not smaller."""
    return [
        max(min(1.0, q * sum(r >= q for r in p_values)) for q in p_values if q <= p)  # of different p-values
        for p in p_values
    ]


def power_of(effect, count, level):
    """Power of the t-test by integrating over the sample's standard deviation, chi with count - 1 degrees."""
    critical = stats.t.ppf(1 - level / 2, count - 1) / math.sqrt(count - 1)

    def rejected(size):
        return stats.norm.sf(critical * size - effect * math.sqrt(count)) * stats.chi.pdf(size, count - 1)

    return integrate.quad(rejected, 0, math.sqrt(count) + 12)[0]


def test_lost_seeds_mark_every_place_where_their_arms_numbers_stand(of_six_seeds):
    report = of_six_seeds
    assert report.runs.lost == {"vamp": [5]}
    text, markdown = files(report)["page.html"], results_markdown(report)
    assert re.search(r"^\| vamp † \| [+-].* \d\.\d+† \|", markdown, re.MULTILINE)
    assert "| vamp † | 5 of 6 |" in markdown
    assert "| vamp † − mixed &lt;b> |" in markdown
    assert "| mixed &lt;b> − plain |" in markdown
    assert "Note: † vamp: seed 5 failed and left the mean" in markdown
    assert "vamp †</text>" in text  # in the plots
    assert "vamp</text>" not in text
    assert "if the true difference is 0.2, the study's smallest effect" in markdown


def test_curves_are_means_and_ranges_over_the_seeds(report):
    curve = report.curves["val/elbo"]["plain"]
    np.testing.assert_array_equal(curve.epochs, range(1, 6))
    np.testing.assert_allclose(curve.mean, -89.95 - 5 / np.arange(1, 6))
    np.testing.assert_allclose(curve.high - curve.low, 0.1)


def test_the_database_says_what_mlflows_client_says(store, ids):
    with TrackedRun(store, "odd", {"odd": "yes"}) as run:
        run.metrics({"a": float("nan"), "b": float("inf"), "c": float("-inf")}, 0)
        run.metrics({"a": 1.0, "b": 2.5}, 1)
        run.metrics({"b": float("nan")}, 2)
    client = Store(store.client, None, "http://a.server")  # a server's path through the same client
    for key, value in (("odd", "yes"), ("mlflow.parentRunId", ids["parent"])):
        fast, slow = (runs_with_tag(one, key, value) for one in (store, client))
        assert len(fast) == len(slow) > 0
        for a, b in zip(fast, slow, strict=True):
            np.testing.assert_equal(vars(a), vars(b))
    for key in "abc":
        np.testing.assert_equal(*(metric_history(one, [run.run_id], key) for one in (store, client)))


def test_artifacts_that_are_in_no_folder_of_this_machine_are_fetched(store, ids, tmp_path):
    (run,) = (run for run in runs_with_tag(store, "vae_lab.arm", "vamp"))
    far = replace(run, artifacts=f"runs:/{run.run_id}")
    fetched = artifact(store, far, "config.yaml", tmp_path)
    assert fetched.is_relative_to(tmp_path)
    assert fetched.read_text() == artifact(store, run, "config.yaml", tmp_path).read_text() == "seed: 0\n"
    assert artifact(store, far, "nothing", tmp_path) is None is artifact(store, run, "nothing", tmp_path)


@pytest.fixture(scope="module")
def page(store, ids, study, tmp_path_factory):
    return write_files(files(gather(store, study)), tmp_path_factory.mktemp("report"))


def test_the_page_holds_everything_and_asks_for_nothing(page, ids):
    text = page.read_text()
    assert "Does a &lt;mixture&gt; help?" in text
    assert "<b>mixed" not in text.replace("mixed &lt;b&gt;", "")
    assert "1 of 3 expectations met, 2 not complete." in text
    assert "mixed &lt;b&gt; †" in text
    assert "plain †" not in text
    assert "† mixed &lt;b&gt;: seed 1 failed and left the mean" in text
    assert "corrected over the table and the claims that are differences, 0 with a p in all" in text
    for name in ids:
        assert ids[name][:8] in text, name
    assert text.count("<svg") == 4
    assert all(place.startswith("data:") for place in re.findall(r'\bsrc="([^"]*)"', text))
    assert not re.search(r"<script|@import|url\((?!#)|<iframe", text)
    assert re.findall(r'<link [^>]*href="([^"]*)"', text) == ["data:,"]
    anchors = set(re.findall(r'<a href="([^#"]*)', text))
    assert anchors == {"http://127.0.0.1:5000/"}
    assert "epoch 10" in text
    assert "epoch 5<" not in text


def test_the_files_beside_the_page_hold_the_same_table(page, report):
    folder = page.parent
    assert "| plain | 2 | -89.95 ± 0.05 |" in (folder / "table.md").read_text()
    assert r"plain & $2$ & $-89.95 \pm 0.05$" in (folder / "table.tex").read_text()
    assert r"mixed <b> \dag{} & 1 of 2" in (folder / "table.tex").read_text()
    runs = (folder / "runs.csv").read_text().splitlines()
    assert len(runs) == 1 + 5 + 6
    assert latex_text("a_b & 50%") == r"a\_b \& 50\%"
    text = results_markdown(report)
    assert "| plain | -90.0000 | -89.9000 |" in text
    assert "missed by 1 so far" in text
    assert "| mixed &lt;b> † | +1.00 | – | – | – |" in text
    assert "| mixed &lt;b> † − plain |" in text
    assert "keeps within them so, as one of the differences of this page" in text
    assert "c0ffee" in text


@pytest.mark.parametrize("changed", [(), ("short=true",), ("training.epochs=1",)])
def test_a_study_expects_nothing_of_settings_that_are_not_its_own(store, changed):
    expected = {"arm": "mvn", "value": -90, "tolerance": 1, "source": "a table", "mark": "S"}
    content = {"question": "?", "arms": {"mvn": {"prior": "mvn"}, "mix": {"prior": "mixture"}}, "seeds": [0, 1]}
    jobs = [
        {
            "arm": arm,
            "overrides": ["experiment=toy", f"prior={prior}", "seed=1", "data.dir=/data", *changed],
            "evaluation": arm,
        }
        for arm, prior in (("mvn", "mvn"), ("mix", "mixture"))
    ]
    parent = TrackedRun(store, "toy", {"vae_lab.kind": "sweep"})
    parent.text(json.dumps(jobs), "plan.json")
    parent.text(json.dumps(content | {"expected": [expected]}), "study.json")
    parent.finish("FINISHED")
    found = study_of_sweep(store, parent.run_id)
    assert (found.changed, len(found.expected)) == (changed, 0 if changed else 1)
    told = "is not of these settings" in headline(gather(store, found, parent.run_id))
    assert told == bool(changed)


def test_results_are_written_as_a_page_and_a_line_of_the_index(report, tmp_path):
    index = tmp_path / "README.md"
    index.write_text("# Results\n\n<!-- pages -->\nwhat was there\n<!-- end of pages -->\n\nThe end.\n")
    for now, standing in (
        (replace(report.study, jobs=tuple(JOBS[:2])), "present"),
        (replace(report.study, jobs=(OTHER,)), "older"),
    ):
        page = write_results(report, tmp_path, {NAME: now})
        assert page.read_text() == results_markdown(report)
        text = index.read_text()
        assert text.startswith("# Results\n\n")
        assert text.endswith("\n\nThe end.\n")
        assert "what was there" not in text
        outcome = "1 of 3 expectations met, 2 not complete."
        row = f"| [{page.stem}]({page.name}) | Does a &lt;mixture> help? | {outcome} | {standing} |"
        assert text.count(row) == 1
        assert text.count("## Others\n") == 1
        present = int(standing == "present")
        assert f"1 of 1 studies have a page, {present} of them by the present settings, data and code." in text
        assert "3 expectations are judged: 1 met, 2 not complete." in text
    assert read_results(tmp_path) == [results_of(report)]


def test_published_values_are_drawn_beside_what_was_found(report, tmp_path):
    values = values_in([results_of(report)])
    assert [value.name for value in values] == ["toy  plain  test/elbo"]
    mean = np.mean([run.metrics["test/elbo"] for run in report.runs.counted["plain"].values()])
    assert values[0].found == pytest.approx(mean + 90)
    assert values[0].tolerance == 1
    assert values[0].interval[0] < values[0].found < values[0].interval[1]
    write_published([results_of(report)], tmp_path)
    assert "toy  plain  test/elbo" in (tmp_path / "published.svg").read_text()


def test_a_report_tells_of_stale_runs_in_the_terminal(report, store, capsys):
    now = [(job, identity(job.arm, job.seed, epochs=11)) for job in JOBS]
    jobs = tuple(replace(job, evaluation=of.evaluation, identity=of) for job, of in now)
    found = gather(store, replace(report.study, jobs=jobs))
    show_report(found)
    told = capsys.readouterr().out
    stale = [one for one in found.runs.aside if one.state == "stale" and one.run.status == "FINISHED"]
    assert not found.runs.all
    assert f"note: {len(stale)} finished runs are stale and not counted" in told
    assert "training.epochs" in told.split("not counted, such as")[1]


def test_a_report_of_nothing_is_not_written_over_another(store, tmp_path, capsys):
    main = runpy.run_path(str(CHECKOUT / "scripts" / "report.py"))["main"]
    where = [f"tracking.uri={store.uri}", "tracking.experiment_name=tests", f"out={tmp_path}"]
    assert main(["experiment=quickstart", *where]) == 1
    assert "nothing is written; python scripts/train.py experiment=quickstart runs them" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_an_export_is_read_without_the_database(report, tmp_path):
    place = export(report, tmp_path / "study.zip")
    with zipfile.ZipFile(place) as archive:
        names = {name.removeprefix("study/") for name in archive.namelist() if not name.endswith("/")}
        with archive.open("study/per_image/plain/1.npz") as file:
            assert np.load(file)["elbo"].mean() == pytest.approx(-89.9)
        assert archive.read("study/configs/plain/1.yaml") == b"seed: 1\n"
        assert len(archive.read("study/curves.csv").splitlines()) == 1 + 5 * 2 * 5
    assert {"README.txt", "page.html", "table.csv", "runs.csv", "configs/cut/0.yaml"} <= names
    with pytest.raises(UsageError, match="exists"):
        export(report, place)


def test_the_script_reports_a_sweep_and_logs_it_to_its_parent(store, ids, tmp_path, capsys):
    main = runpy.run_path(str(CHECKOUT / "scripts" / "report.py"))["main"]
    where = [f"tracking.uri={store.uri}", f"out={tmp_path}"]
    assert main([f"sweep={ids['parent']}", *where]) == 0
    assert "toy: 5 of 6 planned runs finished" in capsys.readouterr().out
    logged = store.client.list_artifacts(ids["parent"], "report")
    assert {"report/page.html", "report/table.tex"} <= {entry.path for entry in logged}
    for wrong, message in (
        ([f"sweep={ids['plain 0']}"], "is not the parent run of a sweep"),
        ([f"sweep={ids['parent']}", "reference=vamp"], "reference=vamp is not an arm"),
        (["experiment=nothing"], "experiment=nothing is not in conf/experiment"),
        ([], "scripts/report.py experiment="),
        (["experiment=quickstart", "metric=x"], "scripts/report.py experiment="),
        (["experiment=quickstart", "metric=x"], "metric: no such word here"),
    ):
        assert main([*wrong, *where]) == 2
        assert message in capsys.readouterr().err


def test_reproduce_lists_every_experiment_with_its_cost(store, capsys):
    main = runpy.run_path(str(CHECKOUT / "scripts" / "reproduce.py"))["main"]
    assert main(["--list", f"tracking.uri={store.uri}"]) == 0
    listed = capsys.readouterr().out
    assert "quickstart" in listed
    assert "0 of 12" in listed
    for wrong in ([], ["quickstart", "training.epochs=3"], ["nothing"], ["quickstart", "--quick"]):
        assert main(wrong) == 2


def test_a_report_starts_without_tensorflow():
    code = (
        "import sys, mlflow; import vae_lab.report.screen, vae_lab.report.results_folder, vae_lab.study.experiments; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def browse(page, folder):
    """What Chromium draws of a page, uint8 [height * width, 3], and what it complains of."""
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --hide-scrollbars --window-size=1200,3000"
    flags += f" --enable-logging=stderr --user-data-dir={folder}/profile --screenshot={folder}/page.png"
    command = ["chromium", *flags.split(), "--host-resolver-rules=MAP * ~NOTFOUND", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return np.asarray(Image.open(folder / "page.png").convert("RGB")).reshape(-1, 3), console


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium on the PATH")
def test_a_browser_draws_the_page_without_errors_or_requests(page, tmp_path):
    seen, console = browse(page, tmp_path)
    assert console == []
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)):
        assert (seen == colour).all(1).sum() > 300, colour
    asking = tmp_path / "asking.html"
    asking.write_text(page.read_text().replace("<header>", '<header><img src="http://127.0.0.1:9/a.png">'))
    assert "Content Security Policy" in browse(asking, tmp_path)[1][0]
