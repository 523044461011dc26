"""What every SEV node is held to, besides the PCR values of its own URI. The defaults are the original's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from priolb.attest.anchors import ARK_GENOA, ARK_MILAN

ARKS: Final = {"milan": ARK_MILAN, "genoa": ARK_GENOA}
"""AMD's root certificates that a policy may name, by product line. There is no way to name another."""

CONSTELLATION: Final = "constellation"
"""Name for the id keys that Constellation 2.7 accepts: those with which Azure then signed launches."""
_CONSTELLATION_ID_KEYS: Final = frozenset(
    map(
        bytes.fromhex,
        (
            "57486a447ec0f1958002a22a06b7673b9fd27d11e1c6527498056054c5fa92d23c50f9de44072760fe2b6fb89740b696",
            "0356215882a825279a85b300b0b742931d113bf7e32dde2e50ffde7ec743ca491ecdd7f336dc28a6e0b2bb57af7a44a3",
            "934f68bd8ba01938eec21475c872e3a942b60c59fafc6df9e9a76ee66bc47f2d09c676f61c0315c578da26085fb13a71",
        ),
    )
)

_ID_KEY: Final = re.compile(r"[0-9A-Fa-f]{96}")
_TCB: Final = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})")


class Tcb(NamedTuple):
    """Versions of the firmware that a SEV guest has to trust."""

    bootloader: int
    tee: int
    snp: int
    microcode: int

    @classmethod
    def of(cls, packed: bytes) -> Tcb:
        """Return the versions in the 8 bytes of a report (Milan and Genoa: bytes 0, 1, 6 and 7)."""
        return cls(packed[0], packed[1], packed[6], packed[7])

    def __str__(self) -> str:
        return ".".join(map(str, self))


_MINIMUM_TCB: Final = Tcb(2, 0, 6, 93)


@dataclass(frozen=True, slots=True)
class SevPolicy:
    """What is accepted.

    Args:
        arks: root certificates of AMD in DER; the only trust anchors.
        minimum_tcb: the oldest firmware, in each of its parts.
        id_keys: accepted digests of id keys, 48 bytes each.
    """

    arks: tuple[bytes, ...] = (ARK_MILAN,)
    minimum_tcb: Tcb = _MINIMUM_TCB
    id_keys: frozenset[bytes] = _CONSTELLATION_ID_KEYS


def parse_arks(text: str) -> tuple[bytes, ...]:
    """Return the roots of product lines whose names stand with commas between them.

    Raises:
        ValueError: one is unknown, or none is named.
    """
    names = text.split(",")
    if not set(names) <= ARKS.keys():
        raise ValueError(f"is not a list of {', '.join(ARKS)}")
    return tuple(ARKS[name] for name in dict.fromkeys(names))


def parse_tcb(text: str) -> Tcb:
    """Return a firmware version given as bootloader.tee.snp.microcode.

    Raises:
        ValueError: it is not that.
    """
    found = _TCB.fullmatch(text)
    if not found or max(map(int, found.groups())) > 255:
        raise ValueError("is not bootloader.tee.snp.microcode (four numbers of 0 to 255, like 2.0.6.93)")
    return Tcb(*map(int, found.groups()))


def parse_id_keys(text: str) -> frozenset[bytes]:
    """Return the digests of id keys that stand in hex, or as CONSTELLATION, with commas between them.

    Raises:
        ValueError: one is none, or none is given.
    """
    words = text.split(",")
    digests = [word for word in words if word != CONSTELLATION]
    if not all(map(_ID_KEY.fullmatch, digests)):
        raise ValueError(f"is not a list of SHA-384 digests (96 hex digits each) or {CONSTELLATION}")
    named = _CONSTELLATION_ID_KEYS if CONSTELLATION in words else frozenset()
    return named | frozenset(map(bytes.fromhex, digests))
