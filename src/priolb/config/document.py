"""The configuration file as it stands: TOML, with the line of every key.

`tomllib` tells what a file says, and not where. But each statement of TOML (a header, or a key and its value)
is a document of its own, and no beginning of one that goes over several lines is: so lines are put together
until they parse, which gives every statement its first line, whatever strings, comments and brackets it has.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from priolb.config.words import escaped
from priolb.errors import ConfigError, ConfigFileError

MAX_BYTES: Final = 1_000_000

# Names of tables and keys, and numbers of tables among those of the same name: ("lane", 2, "limit").
Steps = tuple[str | int, ...]

_MARKED_LINE: Final = re.compile(r"(.*) \(at line ([0-9]+), column [0-9]+\)", re.DOTALL)
_ENDS: Final = ("]", "}", '"""', "'''")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file a table stands, and each of its keys.

    Args:
        lines: first line of each statement of the file.
        steps: the table.
    """

    lines: Mapping[Steps, int] = field(default_factory=dict)
    steps: Steps = ()

    def line_of(self, name: str = "") -> int:
        """Return the line of a key, or of the table when it does not have that key; 0 when in no file."""
        steps = (*self.steps, name)
        while steps and steps not in self.lines:
            steps = steps[:-1]
        return self.lines.get(steps, 0)


@dataclass(frozen=True, slots=True)
class Document:
    """What a configuration file says, and where.

    Args:
        name: the file, as errors name it.
        values: what `tomllib` has read.
        lines: first line of each statement.
    """

    name: str
    values: dict[str, Any]
    lines: Mapping[Steps, int]

    def place(self, *steps: str | int) -> Place:
        """Return where a table stands; without steps, the file as a whole."""
        return Place(self.lines, steps)


def read_document(path: str) -> Document:
    """Return what a configuration file says.

    Raises:
        ConfigError: the file cannot be read.
        ConfigFileError: it is no TOML.
    """
    name = escaped(path)
    file = Path(path)
    try:
        if not file.is_file():
            raise ConfigError(f"{name}: is not a file" if file.exists() else f"{name}: there is no such file")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise ConfigError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{name}: is longer than {MAX_BYTES} bytes")
    return parse_document(name, content)


def parse_document(name: str, content: bytes) -> Document:
    """Return what the content of a configuration file says; see `read_document`."""
    try:
        # What some editors begin with says nothing but that this is UTF-8.
        text = content.decode().removeprefix("\ufeff").replace("\r\n", "\n")
        return Document(name, tomllib.loads(text), _lines_of(text))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigFileError(name, [(line, "is not UTF-8")]) from None
    except RecursionError:
        raise ConfigFileError(name, [(1, "is nested too deeply")]) from None
    except ValueError as error:
        what, line = str(error), content.count(b"\n") + 1
        marked = _MARKED_LINE.fullmatch(what)
        if marked:
            what, line = marked[1], int(marked[2])
        raise ConfigFileError(name, [(line, escaped(f"is no TOML: {what}"))]) from None


def _lines_of(text: str) -> dict[Steps, int]:
    """Return the first line of each statement of a valid document."""
    lines: dict[Steps, int] = {}
    tables: dict[str, int] = {}
    at: Steps = ()
    parts: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        parts.append(line)
        statement = _statement(parts)
        if statement is None:
            continue
        if parts[0].lstrip().startswith("["):
            at = _table(statement, tables)
            lines.setdefault(at, number)
            lines.setdefault(at[:1], number)
        elif statement:
            lines.setdefault((*at, next(iter(statement))), number - len(parts) + 1)
        parts = []
    return lines


def _statement(parts: list[str]) -> dict[str, Any] | None:
    """Return what a statement says, None when lines of it are missing."""
    if len(parts) > 1 and not any(end in parts[-1] for end in _ENDS):
        return None  # it was open before this line, and nothing in it can close it
    try:
        return tomllib.loads("\n".join(parts))
    except tomllib.TOMLDecodeError:
        return None


def _table(header: dict[str, Any], tables: dict[str, int]) -> Steps:
    """Return the table that a header begins; `tables` counts those of each name."""
    steps: list[str | int] = []
    value: object = header
    while isinstance(value, dict) and value:
        name, value = next(iter(value.items()))
        steps.append(name)
    name = str(steps[0])
    if isinstance(value, list) and len(steps) == 1:
        tables[name] = tables.get(name, -1) + 1
    if name in tables:
        steps.insert(1, tables[name])
    return tuple(steps)
