"""The two forms of a log line: JSON for machines, readable for people.

Whatever a client sent is data in a line, never a line of its own and never a command to a terminal:
in both forms line breaks, control characters and bidirectional marks leave escaped, and in the readable
form a value with a space stands in quotes. Most values need none of that, which one match of a
compiled pattern tells.

A form renders single values (`value`) and puts rendered pieces together (`line`). Because the two are
apart, a caller with a fixed set of fields can put a line together once, without its values (see
`telemetry.requests`), and still log exactly as everybody else does.
"""

import json
import re
import time
from collections.abc import Iterable
from enum import Enum
from typing import Final, Protocol

_MS_PER_S: Final = 1000
_WORDS: Final = {None: "null", True: "true", False: "false"}

# Printable ASCII without the two characters that JSON escapes, and with or without the space.
_is_plain_text: Final = re.compile(r"[ !#-\[\]-~]*").fullmatch
_is_plain_word: Final = re.compile(r"[!#-\[\]-~]+").fullmatch


class Level(Enum):
    """How much a line matters; its name in JSON, in readable lines, and its colour on a terminal."""

    DEBUG = ("debug", "DEBUG", "\x1b[35m")
    INFO = ("info", "INFO ", "\x1b[34m")
    WARNING = ("warn", "WARN ", "\x1b[33m")
    ERROR = ("error", "ERROR", "\x1b[31m")

    def __init__(self, json_name: str, readable_name: str, colour: str) -> None:
        self.json_name = json_name
        self.readable_name = readable_name
        self.colour = colour


class Form(Protocol):
    """How a line looks."""

    def stamp(self, ms: int) -> str:
        """Return a time, in milliseconds since 1970, as it stands in a line."""

    def value(self, value: object) -> str:
        """Return the value of a field as it stands in a line."""

    def text(self, text: str) -> str:
        """Return the value of a field as `value` does; for callers that know it to be text."""

    def line(self, level: Level, stamp: str, message: str, fields: Iterable[tuple[str, str]]) -> str:
        """Return the line without its newline.

        Args:
            stamp: what `stamp` made.
            message: plain text.
            fields: names and values; the values are what `value` made.
        """


class JsonForm:
    """One JSON object a line, in ASCII: `{"level":"info","ts":1700000000.123,"msg":"...",...}`."""

    __slots__ = ()

    def stamp(self, ms: int) -> str:
        return f"{ms // _MS_PER_S}.{ms % _MS_PER_S:03d}"

    def value(self, value: object) -> str:
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool):
            return _WORDS[value]
        if isinstance(value, int):
            return str(value)
        # nan and inf are no JSON numbers, everything else is no JSON value at all.
        text = str(value)
        return text if isinstance(value, float) and text not in ("nan", "inf", "-inf") else self.text(text)

    def text(self, text: str) -> str:
        return f'"{text}"' if _is_plain_text(text) else json.dumps(text)

    def line(self, level: Level, stamp: str, message: str, fields: Iterable[tuple[str, str]]) -> str:
        tail = "".join(f',"{name}":{value}' for name, value in fields)
        return f'{{"level":"{level.json_name}","ts":{stamp},"msg":{self.text(message)}{tail}}}'


class ReadableForm:
    """`2026-11-22T08:00:00.123Z INFO  message  key=value key="two words"`.

    Args:
        colours: the level is coloured, for a terminal.
    """

    __slots__ = ("_colours", "_second")

    def __init__(self, colours: bool) -> None:
        self._colours = colours
        # The last second and its text, in one value: several threads log.
        self._second = (-1, "")

    def stamp(self, ms: int) -> str:
        second, text = self._second
        if second != ms // _MS_PER_S:
            second = ms // _MS_PER_S
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)
        return f"{text}.{ms % _MS_PER_S:03d}Z"

    def value(self, value: object) -> str:
        if value is None or isinstance(value, bool):
            return _WORDS[value]
        return self.text(str(value))

    def text(self, text: str) -> str:
        if _is_plain_word(text):
            return text
        # People with other alphabets can read theirs; isprintable is false for whatever moves a cursor.
        return json.dumps(text, ensure_ascii=not text.isprintable())

    def line(self, level: Level, stamp: str, message: str, fields: Iterable[tuple[str, str]]) -> str:
        name = level.readable_name
        if self._colours:
            name = f"{level.colour}{name}\x1b[0m"
        if not message.isprintable():
            message = json.dumps(message)[1:-1]
        tail = " ".join(f"{name}={value}" for name, value in fields)
        return f"{stamp} {name} {message}  {tail}" if tail else f"{stamp} {name} {message}"
