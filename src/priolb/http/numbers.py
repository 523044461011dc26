"""Numbers as they stand in messages and log lines; short ones are looked up, as rendering costs more."""

from __future__ import annotations

from typing import Final

_THOUSAND: Final = range(1000)

# Of 0 to 999; with zeros in front for the three digits behind a point or behind thousands.
NUMBERS: Final[list[bytes]] = [b"%d" % number for number in _THOUSAND]
THREE_DIGITS: Final[list[bytes]] = [b"%03d" % number for number in _THOUSAND]


def decimal(number: int) -> bytes:
    """Return a number that is not negative in decimal."""
    return NUMBERS[number] if number < 1000 else b"%d" % number
