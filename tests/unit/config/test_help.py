"""--help and the reference of settings tell about every setting."""

import subprocess
import sys
from pathlib import Path

from priolb.config.document import parse_document
from priolb.config.help import help_text, settings_markdown
from priolb.config.load import settings_in
from priolb.config.record import keys_of, tables_of
from priolb.config.settings import SETTINGS
from priolb.config.tables import Entry, LaneSpec, Policy

REFERENCE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_help_has_an_entry_for_each_setting() -> None:
    text = help_text()
    for setting in SETTINGS.values():
        names = ", ".join(name for name in (setting.env, setting.flag and f"-{setting.flag}") if name)
        assert f"\n  {names}  [{setting.unit}, default {setting.default or 'none'}]\n" in text
        assert setting.meaning in " ".join(text.split())


def test_help_fits_a_terminal_and_names_every_command() -> None:
    text = help_text()
    assert max(map(len, text.splitlines())) <= 100
    for command in (
        *("nodes list", "nodes show", "nodes add URI", "nodes remove URI", "nodes drain URI"),
        *("mock-node", "--version", "--help"),
    ):
        assert f"  prio-load-balancer {command}" in text


def test_reference_has_a_row_for_each_setting() -> None:
    page = settings_markdown().partition("## The configuration file")[0]
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == len(SETTINGS) + 2
    assert all(row.count(" | ") == 5 for row in rows)
    assert rows[3] == (
        "| `LISTEN_ADDR` | `-http` | `localhost:8080` | host:port "
        "| host:port (like localhost:8080, :8080 or [::1]:8080) "
        "| Where clients connect; :8080 is port 8080 on all interfaces. |"
    )


def test_reference_has_a_row_for_each_key_of_the_file() -> None:
    page = settings_markdown().partition("## The configuration file")[2]
    rows = [line for line in page.splitlines() if line.startswith("|")]
    owners: list[type[Entry]] = [Policy, *(table.owner for table in tables_of(Policy).values())]
    assert LaneSpec in owners
    assert [row.split(" | ")[0] for row in rows if "`" in row.split(" | ")[0]] == [
        f"| `{key.name}`" for owner in owners for key in keys_of(owner).values()
    ]
    assert "| `name` | needed | word | a name (letters, digits, - . _, a letter first) |" in page
    assert "| `limit` | `0` | requests | a whole number (0 to 1000000000) |" in page
    assert "\n### `[[lane]]`\n\nA lane; the best one comes first." in page


def test_example_of_the_reference_is_a_file_that_can_be_used() -> None:
    example = settings_markdown().partition("```toml\n")[2].partition("```")[0]
    values = settings_in(parse_document("example", example.encode()))
    assert (values["request_timeout_s"], len(values["nodes"])) == (10.0, 2)
    assert [(lane.name, lane.limit) for lane in values["policy"].lanes] == [
        ("auctions", 1000),
        ("bundles", 0),
        ("queries", 5000),
    ]


def test_reference_in_the_docs_is_what_the_command_prints() -> None:
    """To mend it: python -m priolb.config.help > docs/settings.md."""
    printed = subprocess.run(
        [sys.executable, "-m", "priolb.config.help"], capture_output=True, check=True, text=True
    ).stdout
    assert printed == settings_markdown()
    assert REFERENCE.read_text(encoding="utf-8") == printed
