"""Kinds of values that tables of callers and rules hold; see `parse`."""

import re
from dataclasses import dataclass
from typing import Final

from priolb.config.parse import Network, network_of
from priolb.config.words import shown

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
# RFC 9110, section 5.1.
_FIELD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URGENCY: Final = re.compile(r"([0-7])=([A-Za-z][A-Za-z0-9._-]{0,62})")
_FUNCTION: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_PATTERN: Final = re.compile(r"[!-)+\--~]*\*?")  # visible ASCII without commas, and a star only at the end


@dataclass(frozen=True, slots=True)
class Sha256:
    """SHA-256 of a secret."""

    accepts: str = "a SHA-256 (64 hex digits)"

    def parse(self, text: str) -> bytes:
        if not _SHA256.fullmatch(text):
            raise ValueError(f"is not {self.accepts}")
        return bytes.fromhex(text)


@dataclass(frozen=True, slots=True)
class Cidr:
    """One network; an address alone is a network of one."""

    accepts: str = "a network (like 10.0.0.0/8 or 2001:db8::/32)"

    def parse(self, text: str) -> Network:
        try:
            return network_of(text.strip())
        except ValueError as error:
            raise ValueError(f"is not {self.accepts}{error}") from None


@dataclass(frozen=True, slots=True)
class FieldName:
    """Name of a header field."""

    accepts: str = "the name of a header field"

    def parse(self, text: str) -> str:
        if not _FIELD.fullmatch(text):
            raise ValueError(f"is not {self.accepts}")
        return text


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function of Python; empty for none."""

    accepts: str = "a function (module:name) or nothing"

    def parse(self, text: str) -> str:
        if text and not _FUNCTION.fullmatch(text):
            raise ValueError(f"is not {self.accepts}")
        return text


@dataclass(frozen=True, slots=True)
class Urgencies:
    """Lanes by urgency (RFC 9218, section 4.1: 0 is the most urgent, 7 the least), as `urgency=lane`."""

    accepts: str = 'a table of lanes by urgency, 0 to 7 (like { 0 = "urgent", 1 = "normal" })'

    def parse(self, text: str) -> tuple[tuple[int, str], ...]:
        lanes: dict[int, str] = {}
        for item in text.split(",") if text else ():
            found = _URGENCY.fullmatch(item)
            if found is None:
                raise ValueError(f"is not {self.accepts}: see {shown(item.partition('=')[0])}")
            lanes[int(found[1])] = found[2]
        return tuple(sorted(lanes.items()))


@dataclass(frozen=True, slots=True)
class PatternList:
    """Names with commas between them, or how some begin, with a star at the end; `of` says of what.

    `start` is what each of them starts with.
    """

    of: str
    start: str = ""

    @property
    def accepts(self) -> str:
        return f"a list of {self.of}, where a * may stand for any rest"

    def parse(self, text: str) -> tuple[str, ...]:
        patterns = tuple(item for part in text.split(",") if (item := part.strip()))
        for pattern in patterns:
            if not _PATTERN.fullmatch(pattern) or not pattern.startswith(self.start):
                raise ValueError(f"is not {self.accepts}")
        return patterns
