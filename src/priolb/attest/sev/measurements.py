"""The PCR values that a SEV node is held to, in the form in which the original's node URIs carry them.

    {"4": {"expected": "<hex or base64 of 32 bytes>", "warnOnly": false}, "9": "<hex or base64>", ...}

The JSON is merged into the defaults of Constellation on Azure: an index that it does not name keeps its
default. Those of PCR 4, 9 and 12 are a placeholder that no node has, so a JSON that can ever match names
these three. JSON `null`, with which the original compared nothing at all, is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from priolb.attest.jsontext import parse_object
from priolb.attest.reader import MalformedError

PCR_BYTES: Final = 32
JSON_MAX_BYTES: Final = 64 * 1024

_INDEX: Final = re.compile(r"[0-9]{1,20}")
_INDEX_MAX: Final = 2**32 - 1
_GZIP_WINDOW: Final = 31  # of zlib: 15 bits, with the header and trailer of gzip
_USER_PART: Final = re.compile(r"[A-Za-z0-9_-]*={0,2}")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one PCR should hold, 32 bytes, and whether another value is only warned of."""

    expected: bytes
    warn_only: bool = False


Measurements = Mapping[int, Measurement]

_PLACEHOLDER: Final = Measurement(bytes.fromhex("1234" * 16))
_ZERO: Final = Measurement(bytes(PCR_BYTES))
DEFAULTS: Final[Measurements] = {
    4: _PLACEHOLDER,
    8: _ZERO,
    9: _PLACEHOLDER,
    11: _ZERO,
    12: _PLACEHOLDER,
    13: _ZERO,
    15: _ZERO,
}


def never_matching(measurements: Measurements) -> list[int]:
    """Return the enforced PCRs whose value no node can have: placeholders, and those beyond PCR 23."""
    return [
        index
        for index, each in sorted(measurements.items())
        if not each.warn_only and (each.expected == _PLACEHOLDER.expected or index > 23)
    ]


def parse_measurements(text: bytes | str) -> dict[int, Measurement]:
    """Return what a JSON of measurements names, merged into the defaults.

    Raises:
        MalformedError: it is no such JSON; the text names the PCR.
    """
    named: dict[int, Measurement] = {}
    for key, value in parse_object(text, "measurements").items():
        if not _INDEX.fullmatch(key) or int(key) > _INDEX_MAX:
            raise MalformedError("measurements have a key that is no index of a PCR")
        index = int(key)
        if index in named:
            raise MalformedError(f"measurements name PCR {index} twice")
        named[index] = _measurement(value, f"measurement of PCR {index}")
    return {**DEFAULTS, **named}


def decode_user_part(text: str) -> dict[int, Measurement]:
    """Return the measurements that stand behind `SEV_` in a URI: JSON, in gzip, in base64url with padding.

    Line ends in the base64 are ignored, as in the original.

    Raises:
        MalformedError: it is not that, or is longer than JSON_MAX_BYTES when unpacked.
    """
    text = _without_line_ends(text)
    try:
        if not _USER_PART.fullmatch(text):
            raise binascii.Error
        packed = base64.urlsafe_b64decode(text)
    except binascii.Error:
        raise MalformedError("what follows SEV_ is no base64url with padding") from None
    return parse_measurements(_unpack(packed))


def encode_user_part(document: bytes) -> str:
    """Return what stands behind `SEV_` in a URI for a JSON of measurements.

    Raises:
        MalformedError: it is no such JSON, or longer than JSON_MAX_BYTES.
    """
    _check_length(document)
    parse_measurements(document)
    compact = json.dumps(json.loads(document), separators=(",", ":")).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP_WINDOW)
    return base64.urlsafe_b64encode(packer.compress(compact) + packer.flush()).decode()


def _check_length(document: bytes) -> None:
    if len(document) > JSON_MAX_BYTES:
        raise MalformedError(f"the measurements are longer than {JSON_MAX_BYTES} bytes")


def _measurement(value: Any, what: str) -> Measurement:
    if isinstance(value, str):
        return Measurement(_expected(value, what))
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is neither an object nor text")
    fields: dict[str, Any] = {}
    for name, each in value.items():
        if name.lower() in fields:
            raise MalformedError(f"{what} has a member twice")
        fields[name.lower()] = each
    expected, warn_only = fields.get("expected"), fields.get("warnonly")
    if not isinstance(expected, str):
        raise MalformedError(f"{what} has no expected value")
    if warn_only is not None and not isinstance(warn_only, bool):
        raise MalformedError(f"{what}: warnOnly is neither true nor false")
    return Measurement(_expected(expected, what), warn_only is True)


def _expected(text: str, what: str) -> bytes:
    """Return 32 bytes given in hex or else in base64 with padding, in which line ends are ignored."""
    try:
        value = binascii.unhexlify(text)
    except ValueError:  # binascii.Error is one
        try:
            value = base64.b64decode(_without_line_ends(text), validate=True)
        except ValueError:
            raise MalformedError(f"{what} is neither hex nor base64") from None
    if len(value) != PCR_BYTES:
        raise MalformedError(f"{what} is not {PCR_BYTES} bytes")
    return value


def _without_line_ends(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")


def _unpack(packed: bytes) -> bytes:
    """Unpack all members of a gzip, and no more bytes than allowed."""
    unpacked = b""
    while packed:
        member = zlib.decompressobj(_GZIP_WINDOW)
        try:
            unpacked += member.decompress(packed, JSON_MAX_BYTES + 1 - len(unpacked))
        except zlib.error:
            raise MalformedError("what follows SEV_ is no gzip") from None
        _check_length(unpacked)
        if not member.eof:
            raise MalformedError("what follows SEV_ is a gzip that ends early")
        packed = member.unused_data
    return unpacked
