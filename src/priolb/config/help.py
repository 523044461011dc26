"""The text of --help and the reference of settings, both read off the settings' own records.

The reference is written by `python -m priolb.config.help > docs/settings.md`.
"""

import sys
import textwrap
from typing import Final

from priolb import __version__
from priolb.config.record import Key, Setting, keys_of, tables_of
from priolb.config.settings import SETTINGS
from priolb.config.tables import Entry, Policy

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
  prio-load-balancer config check [FILE]
                                       read the configuration file and say what it means
  prio-load-balancer config key NAME   make an API key and the table for it
  prio-load-balancer explain -header 'X-Fast-Track: true'
                                       say which lane, rule and nodes such a request gets
  prio-load-balancer health            ask the instance that has these settings whether it works
  prio-load-balancer mock-node         be a node that answers JSON-RPC calls
  prio-load-balancer --version
  prio-load-balancer --help            after a command: its options
"""

_RULES: Final = """\
A flag has one dash or two and beats its environment variable, which beats the same name in the
configuration file; a variable that is set to nothing counts as unset. A value that cannot be
read stops the program with exit status 2.
"""

_PAGE_HEAD: Final = """\
# Settings

<!-- Made by `python -m priolb.config.help > docs/settings.md`; a test holds the two together. -->

A flag (`-flag value` or `-flag=value`, one dash or two) beats its environment variable, which beats the
[configuration file](#the-configuration-file), which beats the default. A variable that is set to nothing
counts as unset, but for `REDIS_PREFIX`. A value that cannot be read stops the program before it listens, with
exit status 2 and a line that says what is wrong: the setting and the value, or the file or the node.

"""

_FILE_HEAD: Final = """
## The configuration file

`CONFIG_FILE`, or the flag `-config`, names a file of [TOML](https://toml.io); without them `priolb.toml` in
the working directory is taken, if it is there. It may hold every other setting above under the name of its
environment variable, numbers without quotes, switches as `true` or `false`, lists as arrays or with commas;
and what the tables below say, which no flag or variable can.

```toml
REQUEST_TIMEOUT = 10
NODES = ["http://10.0.0.1:8545", "http://10.0.0.2:8545"]

[[lane]]            # X-Fast-Track: true
name = "auctions"
limit = 1000

[[lane]]            # X-High-Priority: true
name = "bundles"

[[lane]]            # everything else
name = "queries"
limit = 5000
```

Settings stand above the first table. Whatever cannot be used stops the program before it listens, with exit
status 2 and one line for each mistake that is seen, such as
`priolb.toml:6: [[lane]] limit: '-1' is out of range (0 to 1000000000)`.

`HEDGE_LANES` takes the names of lanes, and so does the log: it says `lane` instead of `requestIsHighPrio` and
`requestIsFastTrack`, and `startQueueSize_auctions` for the length of the request's own lane. Lanes with the
names of the original keep its words.

A setting that has no effect beside the others, such as `TENANT_HEADER` without `TRUSTED_PROXIES`, is no
mistake: a line of the log says so at start, and `prio-load-balancer config check` at its end.

Above the tables may also stand:

"""


def help_text() -> str:
    """Return what --help prints: usage, commands, and every setting."""
    title = f"prio-load-balancer {__version__}: urgent requests first, to the first free node.\n"
    settings = "".join(_help_entry(setting) for setting in SETTINGS.values())
    return "\n".join((title, _USAGE, f"Settings:\n{settings}", _RULES))


def settings_markdown() -> str:
    """Return the reference of settings and of the configuration file as a Markdown page."""
    columns = ("Environment", "Flag", "Default", "Unit", "Accepts", "Meaning")
    settings = _table(columns, [_row(setting) for setting in SETTINGS.values()])
    tables = [
        f"\n### `[[{table.name}]]`\n\n{table.meaning}\n\n{_keys(table.owner)}"
        for table in tables_of(Policy).values()
    ]
    return "".join((_PAGE_HEAD, settings, _FILE_HEAD, _keys(Policy), *tables))


def _help_entry(setting: Setting) -> str:
    names = ", ".join(filter(None, (setting.env, setting.flag and f"-{setting.flag}")))
    default = f"default {setting.default}" if setting.default else "default none"
    meaning = textwrap.fill(setting.meaning, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return f"  {names}  [{setting.unit}, {default}]\n{meaning}\n"


def _keys(owner: type[Entry]) -> str:
    columns = ("Key", "Default", "Unit", "Accepts", "Meaning")
    return _table(columns, [_key_row(key) for key in keys_of(owner).values()])


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (columns, ("---",) * len(columns), *rows))


def _key_row(key: Key) -> tuple[str, ...]:
    default = "needed" if key.is_required else _code(key.default)
    return _code(key.name), default, key.unit, key.kind.accepts, key.meaning


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _row(setting: Setting) -> tuple[str, ...]:
    flag = setting.flag and f"-{setting.flag}"
    return (
        _code(setting.env),
        _code(flag),
        _code(setting.default),
        setting.unit,
        setting.kind.accepts,
        setting.meaning,
    )


if __name__ == "__main__":
    sys.stdout.write(settings_markdown())
