"""Collateral: what Intel publishes about a kind of platform, without which no quote can be verified.

It is signed by Intel and valid for about a month. Here it is only read for whom it is and until when it may
be used; its signatures are checked when it comes, by `origin`, and with every quote, by `dcap`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

from priolb.attest import der
from priolb.attest.certificate import parse_certificate, pem_blocks
from priolb.attest.der import Der
from priolb.attest.jsontext import member, parse_object
from priolb.attest.reader import MalformedError

COLLATERAL_MAX_BYTES: Final = 4 * 1024 * 1024

_SIGNATURE_BYTES: Final = 64
_CAS: Final = {b"Platform CA": "platform", b"Processor CA": "processor"}


class Platform(NamedTuple):
    """A kind of platform: its FMSPC, 12 hex digits in upper case, and the CA of its key (_CAS)."""

    fmspc: str
    ca: str

    def __str__(self) -> str:
        return f"{self.fmspc} ({self.ca} CA)"


@dataclass(frozen=True)
class Collateral:
    """The nine parts of collateral, as Intel's quote verification knows them; chains are PEM.

    Args:
        pck_crl_issuer_chain: who signed `pck_crl`.
        root_ca_crl: revoked authorities, DER.
        pck_crl: revoked platforms, DER.
        tcb_info_issuer_chain: who signed `tcb_info`.
        tcb_info: JSON, byte for byte as it was signed.
        tcb_info_signature: of it, 64 bytes.
        qe_identity_issuer_chain: who signed `qe_identity`.
        qe_identity: JSON, byte for byte as it was signed.
        qe_identity_signature: of it, 64 bytes.
    """

    pck_crl_issuer_chain: str
    root_ca_crl: bytes
    pck_crl: bytes
    tcb_info_issuer_chain: str
    tcb_info: str
    tcb_info_signature: bytes
    qe_identity_issuer_chain: str
    qe_identity: str
    qe_identity_signature: bytes

    def __post_init__(self) -> None:
        for signature in (self.tcb_info_signature, self.qe_identity_signature):
            if len(signature) != _SIGNATURE_BYTES:
                raise MalformedError(f"a signature of the collateral is not {_SIGNATURE_BYTES} bytes")
        # Read now, so that whoever has collateral knows that it can be read.
        _ = self.platform, self.valid_from, self.expires_at, self.pce_id

    @cached_property
    def platform(self) -> Platform:
        """Whose collateral it is."""
        fmspc = member(self._info, "fmspc", str)
        issuer = _parse_crl(self.pck_crl)[0]
        cas = [name for words, name in _CAS.items() if words in issuer]
        if len(cas) != 1:
            raise MalformedError("the PCK CRL is neither of the platform CA nor of the processor CA")
        return Platform(fmspc.upper(), cas[0])

    @cached_property
    def pce_id(self) -> str:
        """Whose TCB info it is, beside the platform: the enclave that certifies quoting enclaves, in hex."""
        return member(self._info, "pceId", str).upper()

    @cached_property
    def issued_at(self) -> tuple[float, ...]:
        """Unix seconds at which TCB info, QE identity, PCK CRL and root CRL were issued."""
        return tuple(start for start, _ in self._dated)

    @cached_property
    def valid_from(self) -> float:
        """Unix seconds from which all parts are valid."""
        return max(start for start, _ in self._periods)

    @cached_property
    def expires_at(self) -> float:
        """Unix seconds at which the first part expires."""
        return min(end for _, end in self._periods)

    def is_valid_at(self, now: float) -> bool:
        """Whether all parts are valid, `now` in Unix seconds."""
        return self.valid_from <= now < self.expires_at

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over all parts: collateral with the same digest is the same."""
        whole = hashlib.sha256()
        for part in fields(self):
            value: str | bytes = getattr(self, part.name)
            data = value if isinstance(value, bytes) else value.encode(errors="surrogatepass")
            whole.update(len(data).to_bytes(8))
            whole.update(data)  # of much, without the lock that holds up all other threads
        return whole.digest()

    @cached_property
    def _periods(self) -> list[tuple[float, float]]:
        periods = list(self._dated)
        for chain in (self.pck_crl_issuer_chain, self.tcb_info_issuer_chain, self.qe_identity_issuer_chain):
            for data in pem_blocks(chain):
                certificate = parse_certificate(data)
                periods.append((certificate.not_before, certificate.not_after))
        return periods

    @cached_property
    def _info(self) -> dict[str, Any]:
        return parse_object(self.tcb_info, "TCB info")

    @cached_property
    def _dated(self) -> list[tuple[float, float]]:
        periods = [_json_period(text) for text in (self.tcb_info, self.qe_identity)]
        return periods + [_parse_crl(crl)[1] for crl in (self.pck_crl, self.root_ca_crl)]

    @classmethod
    def from_json(cls, text: bytes | str) -> Collateral:
        """Return the collateral in a JSON object with the nine parts by name, bytes in hex.

        Raises:
            MalformedError: it is none.
        """
        values = parse_object(text, "the collateral")
        parts: dict[str, Any] = {
            part.name: _hex(values, part.name) if part.type == "bytes" else member(values, part.name, str)
            for part in fields(cls)
        }
        return cls(**parts)

    def to_json(self) -> str:
        """Return the JSON that `from_json` takes; other tools for DCAP read the same."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in parts.items()}
        return json.dumps(shown, indent=1)


def _hex(owner: dict[str, Any], name: str) -> bytes:
    text = member(owner, name, str)
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedError(f"{name} is not in hex") from None


def _json_period(text: str) -> tuple[float, float]:
    values = parse_object(text, "TCB info or QE identity")
    return _iso_time(values, "issueDate"), _iso_time(values, "nextUpdate")


def _iso_time(owner: dict[str, Any], name: str) -> float:
    text = member(owner, name, str)
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise MalformedError(f"{name} is no time") from None


def _parse_crl(data: bytes) -> tuple[bytes, tuple[float, float]]:
    """Return the DER of the issuer's name, and from when to when the list is valid (RFC 5280, 5.1)."""
    fields = Der(data).inside(der.SEQUENCE).inside(der.SEQUENCE)
    if fields.content(der.INTEGER) != b"\x01":
        raise MalformedError("a CRL is not of version 2")
    fields.raw(der.SEQUENCE)
    issuer = fields.raw(der.SEQUENCE)
    return issuer, (der.time(fields), der.time(fields))
