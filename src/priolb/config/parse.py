"""Kinds of values: from the text of a flag or variable to what the program uses.

A kind has `accepts`, a phrase that errors and the reference of settings share ("a whole number (0 to
1000)"), and `parse(text)`. A refusal is a ValueError whose text reads on after the value: "is not a
whole number (0 to 1000)". It never repeats the value, which may be a secret; who knows the name of
the setting and whether it may be shown puts the sentence together (`load.read_value`).

All kinds are strict: no spaces around, no signs, no underscores, no digits but 0 to 9. What `int()`
and `float()` would let through in addition ("1_0", " 5", "nan", Arabic digits) is a mistake far more
often than a wish.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from priolb.config.words import did_you_mean, shown

T_co = TypeVar("T_co", covariant=True)

# Above a billion a number is a slip of the keyboard or of the unit, whatever it counts.
COUNT_MAX: Final = 10**9
# Eleven days. A time-out meant in milli- or nanoseconds is caught by it more often than one is missed.
SECONDS_MAX: Final = 10**6

_WHOLE: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_TOKEN: Final = re.compile(r"[!-~]*")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")
_HTTP_METHOD: Final = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
_IPV6: Final = re.compile(r"[0-9A-Fa-f.:]+(%[A-Za-z0-9._-]+)?")
_METHOD: Final = re.compile(r"[A-Za-z0-9_.]{1,128}")
# The name of a method of JSON-RPC or HTTP, or how several begin. Zero is a cost.
_METHOD_PATTERN: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}\*?|\*")
_COST: Final = re.compile(r"[0-9]{1,9}")
_PATH: Final = re.compile(r"/[!-\"$-~]*")  # visible ASCII, but no fragment
_CIDR: Final = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?")
# A number with more digits is out of every range; int() is quadratic in them.
_DIGITS_MAX: Final = 30
# RFC 4291, section 2.5.5.2: addresses of IPv4 as some of IPv6.
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_HOST_CHARS_MAX: Final = 253
_PORT_MAX: Final = 65535

_HOST_PORT: Final = "host:port (like localhost:8080, :8080 or [::1]:8080)"
_TRUE: Final = frozenset({"1", "t", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "f", "false", "no", "off"})

Network = IPv4Network | IPv6Network


class Kind(Protocol[T_co]):
    """What a setting may hold."""

    @property
    def accepts(self) -> str:
        """The values it takes, as a phrase that fits after "is not"."""

    def parse(self, text: str) -> T_co:
        """Return the value that the text stands for, or raise ValueError."""


class Address(NamedTuple):
    """Where to listen: host name or IP address (IPv6 without brackets; empty: all interfaces) and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number within bounds, both included."""

    minimum: int = 0
    maximum: int = COUNT_MAX

    @property
    def accepts(self) -> str:
        return f"a whole number ({self.minimum} to {self.maximum})"

    def parse(self, text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"is not {self.accepts}")
        if len(text) > _DIGITS_MAX or text[0] == "-" or not self.minimum <= int(text) <= self.maximum:
            raise ValueError(f"is out of range ({self.minimum} to {self.maximum})")
        return int(text)


@dataclass(frozen=True, slots=True)
class Status:
    """A status that an answer can end with, or 0 for no particular one."""

    accepts: str = "a status (200 to 599) or 0"

    def parse(self, text: str) -> int:
        if not re.fullmatch("0|[2-5][0-9][0-9]", text):
            raise ValueError(f"is not {self.accepts}")
        return int(text)


@dataclass(frozen=True, slots=True)
class Decimal:
    """A decimal number within bounds, both included; `noun` says of what."""

    noun: str
    minimum: float
    maximum: int

    @property
    def accepts(self) -> str:
        return f"{self.noun} ({self.minimum:g} to {self.maximum})"

    def parse(self, text: str) -> float:
        if not _DECIMAL.fullmatch(text):
            raise ValueError(f"is not {self.accepts}")
        if len(text) > _DIGITS_MAX or text[0] == "-" or not self.minimum <= float(text) <= self.maximum:
            raise ValueError(f"is out of range ({self.minimum:g} to {self.maximum})")
        return float(text)


def seconds(minimum: float = 0.001, maximum: int = SECONDS_MAX) -> Decimal:
    """Return the kind of a duration in seconds; with a minimum of 0 the setting says what 0 means."""
    return Decimal("a number of seconds", minimum, maximum)


@dataclass(frozen=True, slots=True)
class Switch:
    """On or off, in the words of shells, YAML files and Go."""

    accepts: str = "a switch (1, true, yes, on or 0, false, no, off)"

    def parse(self, text: str) -> bool:
        word = text.lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise ValueError(f"is not {self.accepts}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def accepts(self) -> str:
        return f"one of {', '.join(self.words)}"

    def parse(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(f"is not {self.accepts}{did_you_mean(text, self.words)}")
        return text


@dataclass(frozen=True, slots=True)
class MethodOrPath:
    """The name of a JSON-RPC method, or a path on an HTTP server, with or without a query."""

    accepts: str = "a JSON-RPC method (like net_version) or a path (like /health)"

    def parse(self, text: str) -> str:
        if not (_METHOD.fullmatch(text) or _PATH.fullmatch(text)):
            raise ValueError(f"is not {self.accepts}")
        return text


@dataclass(frozen=True, slots=True)
class JsonText:
    """A JSON value, kept as text; empty for none."""

    accepts: str = "a JSON value or nothing"

    def parse(self, text: str) -> str:
        try:
            if text:
                json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise ValueError(f"is not {self.accepts}") from None
        return text


def _refuse(constant: str) -> None:
    """Refuse what Python takes for a number, and JSON does not know."""
    raise ValueError(constant)


@dataclass(frozen=True, slots=True)
class Text:
    """Any text that can be shown on one line."""

    accepts: str = "text without control characters"

    def parse(self, text: str) -> str:
        if not text.isprintable():
            raise ValueError(f"is not {self.accepts}")
        return text


@dataclass(frozen=True, slots=True)
class Token:
    """A password as it stands in `Authorization: Bearer ...`; empty for none."""

    accepts: str = "a token (visible ASCII characters, no spaces)"

    def parse(self, text: str) -> str:
        if not _TOKEN.fullmatch(text):
            raise ValueError(f"is not {self.accepts}")
        return text


@dataclass(frozen=True, slots=True)
class Name:
    """A name for this program in fields of HTTP: a token that starts with a letter; or empty."""

    accepts: str = "a name (letters, digits, - . _, a letter first)"

    def parse(self, text: str) -> str:
        if text and not _NAME.fullmatch(text):
            raise ValueError(f"is not {self.accepts}")
        return text


@dataclass(frozen=True, slots=True)
class Word:
    """A name that the operator gives to something: as `Name`, but never empty."""

    accepts: str = "a name (letters, digits, - . _, a letter first)"

    def parse(self, text: str) -> str:
        if not _NAME.fullmatch(text):
            raise ValueError(f"is not {self.accepts}")
        return text


@dataclass(frozen=True, slots=True)
class Names:
    """Names with commas between them; `of` says of what. Whether there are such things, others know."""

    of: str

    @property
    def accepts(self) -> str:
        return f"a list of {self.of}"

    def parse(self, text: str) -> tuple[str, ...]:
        names = _items(text)
        if not all(_NAME.fullmatch(name) for name in names):
            raise ValueError(f"is not {self.accepts}")
        return names


@dataclass(frozen=True, slots=True)
class Methods:
    """Methods of HTTP with commas between them, as they stand in a request: case matters."""

    accepts: str = "a list of methods with commas between them (like GET,POST)"

    def parse(self, text: str) -> frozenset[bytes]:
        methods = _items(text)
        if not all(_HTTP_METHOD.fullmatch(method) for method in methods):
            raise ValueError(f"is not {self.accepts}")
        return frozenset(method.encode() for method in methods)


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address to listen on: `host:port`, `:port` for all interfaces, `[::1]:port` for IPv6."""

    accepts: str = _HOST_PORT

    def parse(self, text: str) -> Address:
        host, colon, port = text.rpartition(":")
        if not colon or not _PORT.fullmatch(port) or int(port) > _PORT_MAX or not _is_host(host):
            raise ValueError(f"is not {self.accepts}")
        return Address(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class OptionalHostPort:
    """As `HostPort`, or empty for none."""

    accepts: str = f"{_HOST_PORT} or nothing"

    def parse(self, text: str) -> Address | None:
        return HostPort().parse(text) if text else None


@dataclass(frozen=True, slots=True)
class WholeNumbers:
    """Whole numbers of either sign, with commas between them."""

    accepts: str = "a list of whole numbers with commas between them (like -32002,-32005)"

    def parse(self, text: str) -> frozenset[int]:
        numbers = _items(text)
        if not all(len(number) <= _DIGITS_MAX and _WHOLE.fullmatch(number) for number in numbers):
            raise ValueError(f"is not {self.accepts}")
        return frozenset(map(int, numbers))


@dataclass(frozen=True, slots=True)
class CommaList:
    """Words with commas between them; blanks around them and empty ones are ignored."""

    accepts: str = "a list with commas between its items"

    def parse(self, text: str) -> tuple[str, ...]:
        if not text.isprintable():
            raise ValueError(f"is not {self.accepts}")
        return _items(text)


@dataclass(frozen=True, slots=True)
class CidrList:
    """Networks with commas between them; an address alone is a network of one."""

    accepts: str = "a list of networks with commas between them (like 10.0.0.0/8,::1/128)"

    def parse(self, text: str) -> tuple[Network, ...]:
        networks: list[Network] = []
        for number, item in enumerate(_items(text), start=1):
            try:
                networks.append(network_of(item))
            except ValueError as error:
                raise ValueError(f"is not {self.accepts}: see item {number}{error}") from None
        return tuple(networks)


@dataclass(frozen=True, slots=True)
class MethodCosts:
    """What requests count for by method, as `name=cost` with commas between them."""

    accepts: str = 'a table of costs by method (like { eth_call = 5, "debug_*" = 20 })'

    def parse(self, text: str) -> tuple[tuple[str, int], ...]:
        costs: dict[str, int] = {}
        for item in _items(text):
            name, _, cost = item.rpartition("=")
            if name in costs or not _METHOD_PATTERN.fullmatch(name) or not _COST.fullmatch(cost):
                raise ValueError(f"is not {self.accepts}: see {shown(name)}")
            costs[name] = int(cost)
        return tuple(costs.items())


@dataclass(frozen=True, slots=True)
class UrlOrDirectory:
    """An http(s) URL, an absolute path of a directory, or empty for none."""

    accepts: str = "a URL (http:// or https://), an absolute path of a directory, or nothing"

    def parse(self, text: str) -> str:
        if text and (not text.isprintable() or not (text.startswith("/") or is_base_url(text))):
            raise ValueError(f"is not {self.accepts}")
        return text


@dataclass(frozen=True, slots=True)
class ReadBy(Generic[T_co]):
    """A value whose own part of the program reads it; `read` refuses as kinds do."""

    accepts: str
    read: Callable[[str], T_co]

    def parse(self, text: str) -> T_co:
        return self.read(text)


def _items(text: str) -> tuple[str, ...]:
    return tuple(item for part in text.split(",") if (item := part.strip()))


def network_of(text: str) -> Network:
    """Return a network; the text of the ValueError for what is none is empty, or a hint to read on with."""
    # ip_network takes net masks, host masks and zones as well; a reader of the setting would guess at them.
    # Its strictness is kept: 10.1.2.3/8 would open far more than whoever wrote it meant.
    if not _CIDR.fullmatch(text):
        raise ValueError
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(_as_network(text)) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        # Peers that come by such an address are known by that of IPv4: nobody would be in it.
        number = int(network.network_address) & 0xFFFFFFFF
        ipv4 = IPv4Network((number, network.prefixlen - _MAPPED.prefixlen))
        raise ValueError(f"; write it as IPv4: {ipv4}")
    return network


def _as_network(text: str) -> str:
    """Return a hint for a network that is written as one of its addresses; for what is none, nothing."""
    try:
        return f"; write it as {ip_network(text, strict=False)}"
    except ValueError:
        return ""


def is_base_url(text: str) -> bool:
    """Return whether a text is an http or https URL to which a path can be added."""
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no port, a bracket that is not closed
        return False
    is_clean = text.isascii() and text.isprintable() and " " not in text
    is_base = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and has_host and is_clean and is_base


def _is_host(host: str) -> bool:
    if not host:
        return True
    try:
        if host[0] == "[" and host[-1] == "]":
            IPv6Address(host[1:-1])
            return _IPV6.fullmatch(host[1:-1]) is not None
        if not host.strip("0123456789."):
            IPv4Address(host)
            return True
    except ValueError:
        return False
    return len(host) <= _HOST_CHARS_MAX and _HOST.fullmatch(host) is not None
