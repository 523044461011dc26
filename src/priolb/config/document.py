"""The configuration file as it stands: TOML, with the line of every key.

`tomllib` tells what a file says, and not where. But each statement of TOML (a header, or a key and its value)
is a document of its own, and ends with the first line that ends outside of strings and brackets.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from priolb.config.words import escaped
from priolb.errors import ConfigError, ConfigFileError

MAX_BYTES: Final = 1_000_000

# Names of tables and keys, and numbers of tables among those of the same name: ("lane", 2, "limit").
Steps = tuple[str | int, ...]

_MARKED_LINE: Final = re.compile(r"(.*) \(at line ([0-9]+), column [0-9]+\)", re.DOTALL)
# Strings and comments, which may hold anything; brackets; ends of lines. Nothing is tried twice.
_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']++|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\]++|\\.)*+"'
    r"|'[^']*+'"
    r"|#[^\n]*+"
    r"|[][{}\n]",
    re.DOTALL,
)


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
    except tomllib.TOMLDecodeError as error:
        what, line = str(error), content.count(b"\n") + 1
        marked = _MARKED_LINE.fullmatch(what)
        if marked:
            what, line = marked[1], int(marked[2])
        raise ConfigFileError(name, [(line, escaped(f"is no TOML: {what}"))]) from None
    except ValueError:  # which `tomllib` lets through only from a number that Python does not read
        line = next(line for line, statement in _statements(text) if _has_long_number(statement))
        raise ConfigFileError(name, [(line, "has a number of too many digits")]) from None


def _lines_of(text: str) -> dict[Steps, int]:
    """Return the first line of each statement of a valid document."""
    lines: dict[Steps, int] = {}
    tables: dict[str, int] = {}
    at: Steps = ()
    for line, statement in _statements(text):
        said = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            at = _table(said, tables)
            lines.setdefault(at, line)
            lines.setdefault(at[:1], line)
        elif said:
            lines.setdefault((*at, next(iter(said))), line)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Return the statements of a document, each with its first line; a line that says nothing is one, too."""
    first = line = 1
    start = depth = 0
    for token in _TOKEN.finditer(text):
        what = token[0]
        if what in "[{":
            depth += 1
        elif what in "]}":
            depth -= 1
        line += what.count("\n")
        if what == "\n" and not depth:
            yield first, text[start : token.start()]
            first, start = line, token.end()
    yield first, text[start:]


def _has_long_number(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    except ValueError:
        return True
    return False


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
