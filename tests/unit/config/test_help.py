"""--help and the reference of settings tell about every setting."""

import subprocess
import sys
from pathlib import Path

from priolb.config.help import help_text, settings_markdown
from priolb.config.settings import SETTINGS

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
    rows = [line for line in settings_markdown().splitlines() if line.startswith("|")]
    assert len(rows) == len(SETTINGS) + 2
    assert all(row.count(" | ") == 5 for row in rows)
    assert rows[2] == (
        "| `LISTEN_ADDR` | `-http` | `localhost:8080` | host:port "
        "| host:port (like localhost:8080, :8080 or [::1]:8080) "
        "| Where clients connect; :8080 is port 8080 on all interfaces. |"
    )


def test_reference_in_the_docs_is_what_the_command_prints() -> None:
    """To mend it: python -m priolb.config.help > docs/settings.md."""
    printed = subprocess.run(
        [sys.executable, "-m", "priolb.config.help"], capture_output=True, check=True, text=True
    ).stdout
    assert printed == settings_markdown()
    assert REFERENCE.read_text(encoding="utf-8") == printed
