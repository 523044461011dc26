"""The text of --help and the reference of settings, both read off the settings' own records.

The reference is written by `python -m priolb.config.help > docs/settings.md`.
"""

import sys
import textwrap
from typing import Final

from priolb import __version__
from priolb.config.record import Setting
from priolb.config.settings import SETTINGS

_WIDTH: Final = 96
_INDENT: Final = " " * 6

_USAGE: Final = """\
Usage:
  prio-load-balancer [flags]           serve (also: python -m priolb)
  prio-load-balancer nodes list        show the nodes of a running instance
  prio-load-balancer nodes show        show what it knows of each of them
  prio-load-balancer nodes add URI     add a node to it
  prio-load-balancer nodes remove URI  remove a node from it
  prio-load-balancer nodes drain URI   give a node no more work; also cordon, uncordon, set
  prio-load-balancer attest uri HOST   make the URI of a node that proves what it runs
  prio-load-balancer attest show URI   say what such a URI asks for
  prio-load-balancer attest probe URI  connect to such a node and say step by step what it proves
  prio-load-balancer attest collateral fetch DIR
                                       fetch what SGX nodes are verified with into a directory
  prio-load-balancer mock-node         be a node that answers every JSON-RPC call
  prio-load-balancer --version
  prio-load-balancer --help            after a command: its options
"""

_RULES: Final = """\
A flag has one dash or two and beats its environment variable; a variable that is set to nothing
counts as unset. A value that cannot be read stops the program with exit status 2.
"""

_PAGE_HEAD: Final = """\
# Settings

<!-- Made by `python -m priolb.config.help > docs/settings.md`; a test holds the two together. -->

A flag (`-flag value` or `-flag=value`, one dash or two) beats its environment variable, which beats the
default. A variable that is set to nothing counts as unset, but for `REDIS_PREFIX`. A value that cannot be
read stops the program before it listens, with exit status 2 and a line that names the setting and the value.

"""


def help_text() -> str:
    """Return what --help prints: usage, commands, and every setting."""
    title = f"prio-load-balancer {__version__}: urgent requests first, to the first free node.\n"
    settings = "".join(_help_entry(setting) for setting in SETTINGS.values())
    return "\n".join((title, _USAGE, f"Settings:\n{settings}", _RULES))


def settings_markdown() -> str:
    """Return the reference of settings as a Markdown page."""
    columns = ("Environment", "Flag", "Default", "Unit", "Accepts", "Meaning")
    rows = [columns, ("---",) * len(columns), *(_row(setting) for setting in SETTINGS.values())]
    return _PAGE_HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _help_entry(setting: Setting) -> str:
    names = ", ".join(filter(None, (setting.env, setting.flag and f"-{setting.flag}")))
    default = f"default {setting.default}" if setting.default else "default none"
    meaning = textwrap.fill(setting.meaning, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return f"  {names}  [{setting.unit}, {default}]\n{meaning}\n"


def _row(setting: Setting) -> tuple[str, ...]:
    def code(text: str | None) -> str:
        return f"`{text}`" if text else ""

    flag = setting.flag and f"-{setting.flag}"
    return (
        code(setting.env),
        code(flag),
        code(setting.default),
        setting.unit,
        setting.kind.accepts,
        setting.meaning,
    )


if __name__ == "__main__":
    sys.stdout.write(settings_markdown())
