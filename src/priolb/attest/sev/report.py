"""The SNP report: what the chip's firmware says about a guest (AMD 56860, "ATTESTATION_REPORT")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from priolb.attest.reader import MalformedError
from priolb.attest.sev.chain import Vcek
from priolb.attest.sev.policy import Tcb
from priolb.attest.signatures import is_signed_by_numbers
from priolb.attest.verdict import NotProven, Refusal, refusing

REPORT_BYTES: Final = 0x4A0

_SIGNED_BYTES: Final = 0x2A0
_NUMBER_BYTES: Final = 72
_ECDSA_P384_SHA384: Final = 1
_DEBUG: Final = 1 << 19


@dataclass(frozen=True, slots=True)
class Report:
    """The fields that something rests on; `raw` are the bytes it came in.

    Args:
        policy: what the guest's owner allowed, a bit set.
        vmpl: privilege level that asked for the report, 0 is the highest.
        algorithm: of the signature.
        current_tcb: firmware that runs.
        report_data: 64 bytes that the guest chose.
        measurement: of the guest at launch, 48 bytes.
        id_key_digest: of the key that signed the launch, 48 bytes.
        chip_id: 64 bytes.
        committed_tcb: the oldest firmware that the chip can go back to.
        launch_tcb: firmware when the guest was launched.
    """

    raw: bytes
    version: int
    policy: int
    vmpl: int
    algorithm: int
    current_tcb: Tcb
    report_data: bytes
    measurement: bytes
    id_key_digest: bytes
    chip_id: bytes
    committed_tcb: Tcb
    launch_tcb: Tcb

    @property
    def is_debuggable(self) -> bool:
        return bool(self.policy & _DEBUG)


def parse_report(data: bytes) -> Report:
    """Take a report apart; bytes behind it, which some issuers leave there, are ignored.

    Raises:
        MalformedError: it is too short.
    """
    if len(data) < REPORT_BYTES:
        raise MalformedError(f"the report has {len(data)} bytes instead of {REPORT_BYTES}")

    def number(start: int, size_bytes: int) -> int:
        return int.from_bytes(data[start : start + size_bytes], "little")

    return Report(
        raw=data[:REPORT_BYTES],
        version=number(0x000, 4),
        policy=number(0x008, 8),
        vmpl=number(0x030, 4),
        algorithm=number(0x034, 4),
        current_tcb=Tcb.of(data[0x038:0x040]),
        report_data=data[0x050:0x090],
        measurement=data[0x090:0x0C0],
        id_key_digest=data[0x0E0:0x110],
        chip_id=data[0x1A0:0x1E0],
        committed_tcb=Tcb.of(data[0x1E0:0x1E8]),
        launch_tcb=Tcb.of(data[0x1F0:0x1F8]),
    )


def check_report(data: bytes, vcek: Vcek) -> Report:
    """Return a report that the chip has signed.

    The signature is over the bytes as they came: the original zeroes reserved fields first and so refuses
    every report of version 3 or later, which uses some of them.

    Raises:
        NotProven: it is malformed, or the signature is not the chip's.
    """
    with refusing(Refusal.REPORT_MALFORMED):
        report = parse_report(data)
    if report.algorithm != _ECDSA_P384_SHA384:
        raise NotProven(Refusal.REPORT_ALGORITHM, f"the report is signed with algorithm {report.algorithm}")
    r_end = _SIGNED_BYTES + _NUMBER_BYTES
    r = int.from_bytes(report.raw[_SIGNED_BYTES:r_end], "little")
    s = int.from_bytes(report.raw[r_end : r_end + _NUMBER_BYTES], "little")
    if not is_signed_by_numbers(vcek.key, r, s, report.raw[:_SIGNED_BYTES], "sha384"):
        raise NotProven(Refusal.REPORT_SIGNATURE, "the report is not signed by the chip's key")
    return report


def check_chip(report: Report, vcek: Vcek) -> None:
    """Make sure that the certificate of the key is for the chip and the firmware that the report names.

    Raises:
        NotProven: it is for others.
    """
    with refusing(Refusal.VCEK_CHIP):
        if vcek.chip_id != report.chip_id:
            raise NotProven(Refusal.VCEK_CHIP, "the VCEK is that of another chip")
    with refusing(Refusal.VCEK_TCB):
        if vcek.tcb != report.committed_tcb:
            raise NotProven(
                Refusal.VCEK_TCB,
                f"the VCEK is for firmware {vcek.tcb}, the report has committed to {report.committed_tcb}",
            )
