"""Files around the package: what they name exists, and versions that stand in two places are equal."""

import pkgutil
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import biounet

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "biounet"
SOURCES = sorted(PACKAGE.rglob("*.py"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PINS = dict(re.findall(r"^([\w.-]+)==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def steps(workflow: dict) -> list[dict]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_checks_out_and_calls_what_exists(path):
    workflow = yaml.safe_load(path.read_text())
    assert True in workflow  # YAML 1.1 reads the key `on` as a truth
    found = steps(workflow)
    assert found[0]["uses"].startswith("actions/checkout@")
    called = {
        word
        for step in found
        for line in step.get("run", "").splitlines()
        if line.startswith("make ")
        for word in line.split()[1:]
        if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")
    }
    assert called <= MAKE_TARGETS


def test_all_supported_versions_of_python_are_tested_on_all_systems():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    low, above = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    assert matrix["python"] == [f"3.{minor}" for minor in range(int(low), int(above))]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_torch_is_installed_before_the_package():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    installs = [step["run"] for step in steps(workflow) if "pip install" in step.get("run", "")]
    assert ["torch" in install for install in installs] == [True, False]


def test_hooks_have_the_versions_of_the_constraints():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    revisions = {repo["repo"].rsplit("/", 1)[-1].removesuffix("-pre-commit"): repo.get("rev") for repo in hooks}
    assert revisions == {"ruff": f"v{PINS['ruff']}", "codespell": f"v{PINS['codespell']}", "local": None}
    used = [hook["id"] for repo in hooks for hook in repo["hooks"]]
    assert used == ["ruff-check", "ruff-format", "codespell", "mypy"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_an_issue_template_is_a_form(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    fields = [field["id"] for field in form["body"]]
    assert len(set(fields)) == len(fields)
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == biounet.__version__
    assert citation["license"] == PROJECT["license"]
    assert PROJECT["urls"]["Paper"] == f"https://doi.org/{citation['references'][0]['doi']}"


def test_make_targets_in_the_pages_exist():
    call = re.compile(r"(?:^\$ |`)make ([a-z -]+)", re.MULTILINE)
    lines = [line for page in PAGES for line in call.findall(page.read_text())]
    assert len(lines) > 3
    assert {word for line in lines for word in line.split()} <= MAKE_TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    text = page.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert not [link for link in links if link and not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_pages_name_exist(page):
    rooms = {path.name: root for root in (PACKAGE, ROOT) for path in root.iterdir() if path.is_dir()}
    named = re.findall(r"`((?:\w+/)+[\w.-]*)`", page.read_text())
    files = [rooms[name.split("/")[0]] / name for name in named if name.split("/")[0] in rooms]
    assert not [file for file in files if not file.exists()]


@pytest.mark.parametrize("path", PAGES + SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_in_pages_and_docstrings_exist(path):
    for name in set(re.findall(r"\bbiounet(?!\.json)(?:\.[A-Za-z_]\w*)+", path.read_text())):
        assert pkgutil.resolve_name(name) is not None
