"""What a repository owes its readers: licence, metadata, workflow, locks that agree."""

import re
import tomllib

import pytest
import yaml
from conftest import CHECKOUT

TEMPLATES = sorted((CHECKOUT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
TEMPLATES = sorted((CHECKOUT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def pins(lock):
    """Versions by package of a lock."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (CHECKOUT / lock).read_text(), re.MULTILINE))


def test_the_lock_for_gpus_is_that_for_cpus_and_nvidias_libraries():
    cpu, gpu = pins("requirements.lock"), pins("requirements-gpu.lock")
    assert {name: gpu.get(name) for name in cpu} == cpu
    added = set(gpu) - set(cpu)
    assert added
    assert all(name.startswith("nvidia-") for name in added)


def test_the_lock_for_gpus_holds_hashes_and_no_addresses():
    lock = (CHECKOUT / "requirements-gpu.lock").read_text()
    assert lock.count("--hash=sha256:") > len(pins("requirements-gpu.lock"))
    assert not re.search(r"https?://|--index|--find-links", lock)


def test_licence_citation_and_metadata_agree():
    citation = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text())
    text = (CHECKOUT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"
    assert PROJECT["version"] == citation["version"]
    assert f"## {PROJECT['version']}" in (CHECKOUT / "CHANGELOG.md").read_text()
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    assert (CHECKOUT / "vae_lab" / "py.typed").is_file()


def test_the_workflow_calls_targets_that_exist_on_every_python_that_is_promised():
    workflow = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "ci.yml").read_text())
    targets = re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    called = {step["run"].split()[1] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step}
    assert {"env", "test", "docs", "coverage", "test-candidates"} == called <= set(targets)
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    promised = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)]
    assert pythons == promised
    assert workflow["jobs"]["candidates"]["continue-on-error"] is True


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md", "docs/internals.md", "docs/platform.md"])
def test_pages_for_maintainers_name_only_files_that_exist(page):
    text = (CHECKOUT / page).read_text()
    for path in re.findall(r"`(?:python )?((?:conf|vae_lab|scripts|docs|tests)/[\w/.]+\.(?:py|yaml|md|json))`", text):
        assert (CHECKOUT / path).exists(), path


def test_hooks_call_the_tools_of_the_environment():
    hooks = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [one["repo"] for one in hooks] == ["local"]
    assert all(hook["entry"].startswith(".venv/bin/python -m ") for hook in hooks[0]["hooks"])


@pytest.mark.parametrize(
    "path", sorted((CHECKOUT / ".github" / "ISSUE_TEMPLATE").glob("*.md")), ids=lambda one: one.stem
)
def test_an_issue_template_has_what_its_chooser_shows(path):
    _, head, body = path.read_text().split("---\n", 2)
    assert {"name", "about", "labels"} == set(yaml.safe_load(head))
    assert body.strip()
