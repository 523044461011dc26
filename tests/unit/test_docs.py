"""Pages of the documentation against what they speak of."""

import re
from pathlib import Path

import pytest
from benchmarks.charts import charts
from benchmarks.results import load_results
from benchmarks.tables import insert

from priolb.config.document import parse_document
from priolb.config.load import settings_in
from priolb.config.tables import Policy

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PAGES_WITH_FILES = ("lanes", "limits", "overload", "rules")

_PROOF = re.compile(r"`([\w/]+\.py)::(\w+)`")
_SOURCE = re.compile(r"`([a-z_]+(?:/[a-z_]+)+\.py)`")
_TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def compat_rows() -> list[str]:
    """Return the lines of all tables of the page, without their heads."""
    lines = (ROOT / "docs" / "compat.md").read_text().splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith("| original |")]


def test_every_line_of_the_original_has_a_proof() -> None:
    assert len(compat_rows()) > 40
    assert [row for row in compat_rows() if not _PROOF.search(row.rsplit("|", 2)[1])] == []


def test_every_proof_is_a_test_that_exists() -> None:
    proofs = {proof for row in compat_rows() for proof in _PROOF.findall(row)}
    sources = {path: (ROOT / "tests" / path).read_text() for path in {path for path, _ in proofs}}
    assert [f"{path}::{name}" for path, name in proofs if f"\ndef {name}(" not in sources[path]] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_of_ours_leads_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_file_of_the_program_that_is_named_is_there() -> None:
    named = [(page.name, path) for page in PAGES for path in _SOURCE.findall(page.read_text())]
    assert len(named) > 25
    roots = (ROOT / "src" / "priolb", ROOT)
    assert [each for each in named if not any((root / each[1]).exists() for root in roots)] == []


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{name}.md" for name in PAGES_WITH_FILES)])
def test_every_example_of_a_configuration_file_can_be_used(page: str) -> None:
    examples = _TOML.findall((ROOT / page).read_text())
    assert examples
    for example in examples:
        assert settings_in(parse_document(page, example.encode()))["policy"] != Policy()


def test_every_benchmark_has_a_place_on_the_page_of_results() -> None:
    suites = {path.stem for path in (ROOT / "benchmarks" / "suites").glob("[!_]*.py")}
    page = (ROOT / "docs" / "performance.md").read_text()
    for mark in ("benchmark", "end of benchmark"):
        assert set(re.findall(rf"<!-- {mark}: (\w+) -->", page)) == suites


def test_tables_and_charts_show_the_saved_results_of_the_compiled_form() -> None:
    results = load_results()
    page = (ROOT / "docs" / "performance.md").read_text()
    assert insert(page, results) == page
    drawn = {file.stem: file.read_text() for file in (ROOT / "docs" / "charts").glob("*.svg")}
    assert charts() == drawn
    assert [result.name for result in results if not str(result.machine.priolb).endswith(" compiled")] == []
