"""A SGX node of our own making: an authority like Intel's, collateral, a platform, a certificate."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.policy import SgxPolicy
from support.der_build import (
    Extension,
    PrivateKey,
    certificate,
    integer,
    octet_string,
    oid,
    sequence,
    spki_of,
    tlv,
)
from support.sev_evidence import ec_key

NOW: Final = 1_750_000_000.0
DAY_S: Final = 86_400.0
FMSPC: Final = bytes.fromhex("00606A000000")
PLATFORM: Final = Platform("00606A000000", "platform")
MRENCLAVE: Final = bytes(range(32))
LEGACY: Final = "0.6.9.42.840.113741.1337.6"
LEGACY_MEANT: Final = "1.2.840.113741.1337.6"
DICE: Final = "2.23.133.5.4.9"
SVNS: Final = (11, 11, 3, 3, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
PCE_SVN: Final = 13

# INIT and MODE64BIT; the others by their bit.
PRODUCTION: Final = 0x05

_QE_MRSIGNER: Final = bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff")
_QE_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_SGX_EXTENSION: Final = "1.2.840.113741.1.13.1"


def at(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def iso(unix_s: float) -> str:
    return at(unix_s).strftime("%Y-%m-%dT%H:%M:%SZ")


class Authority:
    """A certificate and its key, which signs others.

    Args:
        common_name: of the subject.
        number: of the key, see `ec_key`.
        issuer: None for a root.
        serial: of the certificate.
        extension: a further extension.
        is_ca: whether it may sign certificates.
    """

    def __init__(
        self,
        common_name: str,
        number: int,
        issuer: Authority | None = None,
        serial: int = 1000,
        extension: x509.UnrecognizedExtension | None = None,
        is_ca: bool = True,
    ) -> None:
        self.key = ec_key(number)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        parent = issuer or self
        self.serial = serial
        usage = x509.KeyUsage(
            digital_signature=not is_ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=is_ca,
            crl_sign=is_ca,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(parent.name)
            .public_key(self.key.public_key())
            .serial_number(serial)
            .not_valid_before(at(NOW - 1000 * DAY_S))
            .not_valid_after(at(NOW + 3000 * DAY_S))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.key.public_key()), critical=False
            )
        )
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        self.certificate = builder.sign(parent.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM).decode()
        self.der = self.certificate.public_bytes(Encoding.DER)

    def crl(
        self, revoked: Sequence[int] = (), start: float = NOW - DAY_S, end: float = NOW + 30 * DAY_S
    ) -> bytes:
        """Return the list of serial numbers that this authority has revoked."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(at(start))
            .next_update(at(end))
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at(start)).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def raw_signature(self, data: bytes) -> bytes:
        """Return r and s, 32 bytes each."""
        return raw_signature(self.key, data)


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return x and y of the public key, 32 bytes each."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def sgx_extension(fmspc: bytes = FMSPC) -> x509.UnrecognizedExtension:
    """Return what Intel writes into the certificate of a platform."""

    def item(suffix: str, value: bytes) -> bytes:
        return sequence(oid(f"{_SGX_EXTENSION}.{suffix}"), value)

    svns = [item(f"2.{number}", integer(svn)) for number, svn in enumerate(SVNS, start=1)]
    tcb = sequence(*svns, item("2.17", integer(PCE_SVN)), item("2.18", octet_string(bytes(SVNS))))
    configuration = sequence(
        *(item(f"7.{number}", tlv(0x01, value)) for number, value in ((1, b"\xff"), (2, b"\0"), (3, b"\0")))
    )
    value = sequence(
        item("1", octet_string(b"\x55" * 16)),
        item("2", tcb),
        item("3", octet_string(b"\0\0")),
        item("4", octet_string(fmspc)),
        item("5", tlv(0x0A, b"\x01")),
        item("6", octet_string(b"\x66" * 16)),
        item("7", configuration),
    )
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(_SGX_EXTENSION), value)


class Intel:
    """An authority with everything that it has signed.

    Args:
        offset: of the numbers of its keys: two authorities have different ones.
    """

    def __init__(self, offset: int = 20) -> None:
        self.root = Authority("Intel SGX Root CA", offset)
        self.ca = Authority("Intel SGX PCK Platform CA", offset + 1, self.root, serial=2001)
        self.pck = Authority(
            "Intel SGX PCK Certificate", offset + 2, self.ca, 3001, sgx_extension(), is_ca=False
        )
        self.tcb_signing = Authority("Intel SGX TCB Signing", offset + 3, self.root, 2002, is_ca=False)
        self.attestation_key = ec_key(offset + 4)

    @property
    def policy(self) -> SgxPolicy:
        return SgxPolicy(root=self.root.der)

    def put_collateral(self, folder: Path, **changes: Any) -> None:
        """Put collateral into a directory, instead of what is there; changes as those of `collateral`."""
        (folder / "it.json").write_text(self.collateral(**changes).to_json())

    def collateral(self, **changes: Any) -> Collateral:
        """Return collateral; changes: parts of `Collateral`, or of what `tcb_info` and `qe_identity` take."""
        start, end = changes.pop("start", NOW - DAY_S), changes.pop("end", NOW + 30 * DAY_S)
        info = self.tcb_info(start, end, changes.pop("status", "UpToDate"), changes.pop("fmspc", FMSPC))
        qe = self.qe_identity(start, end, changes.pop("qe_status", "UpToDate"))
        signing_chain = self.tcb_signing.pem + self.root.pem
        parts: dict[str, Any] = {
            "pck_crl_issuer_chain": self.ca.pem + self.root.pem,
            "root_ca_crl": self.root.crl(),
            "pck_crl": self.ca.crl(),
            "tcb_info_issuer_chain": signing_chain,
            "tcb_info": info,
            "tcb_info_signature": self.tcb_signing.raw_signature(info.encode()),
            "qe_identity_issuer_chain": signing_chain,
            "qe_identity": qe,
            "qe_identity_signature": self.tcb_signing.raw_signature(qe.encode()),
        }
        return Collateral(**{**parts, **changes})

    def tcb_info(self, start: float, end: float, status: str, fmspc: bytes) -> str:
        level = {
            "tcb": {"sgxtcbcomponents": [{"svn": svn} for svn in SVNS], "pcesvn": PCE_SVN},
            "tcbDate": iso(start),
            "tcbStatus": status,
            "advisoryIDs": [] if status == "UpToDate" else ["INTEL-SA-00001"],
        }
        info = {
            "id": "SGX",
            "version": 3,
            "issueDate": iso(start),
            "nextUpdate": iso(end),
            "fmspc": fmspc.hex().upper(),
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": 17,
            "tcbLevels": [level],
        }
        return json.dumps(info, separators=(",", ":"))

    def qe_identity(self, start: float, end: float, status: str) -> str:
        identity = {
            "id": "QE",
            "version": 2,
            "issueDate": iso(start),
            "nextUpdate": iso(end),
            "tcbEvaluationDataNumber": 17,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": _QE_MRSIGNER.hex().upper(),
            "isvprodid": 1,
            "tcbLevels": [{"tcb": {"isvsvn": 8}, "tcbDate": iso(start), "tcbStatus": status}],
        }
        return json.dumps(identity, separators=(",", ":"))

    def quote(self, report_data: bytes, **fields: Any) -> bytes:
        """Return a quote; fields: flags, mrenclave, version, key_type, tee_type, pck (its chain in PEM)."""
        header = struct.pack(
            "<HHIHH", fields.get("version", 3), fields.get("key_type", 2), fields.get("tee_type", 0), 9, 13
        )
        body = enclave_report(
            report_data, fields.get("mrenclave", MRENCLAVE), fields.get("flags", PRODUCTION), b"\x22" * 32
        )
        signed = header + _QE_VENDOR + bytes(20) + body
        authentication = bytes(range(32))
        key = point(self.attestation_key)
        binding = hashlib.sha256(key + authentication).digest()
        qe = enclave_report(binding, b"\x33" * 32, 0x15, _QE_MRSIGNER, product=1, version=9)
        chain = fields.get("pck", self.pck.pem + self.ca.pem + self.root.pem).encode() + b"\0"
        signatures: bytes = (
            raw_signature(self.attestation_key, signed)
            + key
            + qe
            + self.pck.raw_signature(qe)
            + struct.pack("<H", len(authentication))
            + authentication
            + struct.pack("<HI", 5, len(chain))
            + chain
        )
        return signed + struct.pack("<I", len(signatures)) + signatures


def enclave_report(
    report_data: bytes, mrenclave: bytes, flags: int, mrsigner: bytes, product: int = 0, version: int = 0
) -> bytes:
    """Return a report body, 384 bytes."""
    body = bytearray(384)
    body[0:16] = bytes(SVNS)
    body[48:64] = struct.pack("<QQ", flags, 0xE7)
    body[64:96] = mrenclave
    body[128:160] = mrsigner
    body[256:260] = struct.pack("<HH", product, version)
    body[320:384] = report_data.ljust(64, b"\0")
    return bytes(body)


@cache
def intel() -> Intel:
    """Return the authority that the tests trust."""
    return Intel()


def cbor_head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major << 5 | value])
    size = next(size for size in (1, 2, 4, 8) if value < 1 << 8 * size)
    return bytes([major << 5 | 23 + size.bit_length()]) + value.to_bytes(size, "big")


def cbor(value: Any) -> bytes:
    """Encode bytes, text, numbers, lists, and maps."""
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, int):
        return cbor_head(0, value)
    if isinstance(value, list):
        return cbor_head(4, len(value)) + b"".join(map(cbor, value))
    return cbor_head(5, len(value)) + b"".join(cbor(key) + cbor(each) for key, each in value.items())


class SgxNode:
    """An enclave with Gramine's RA-TLS; options of `certificate` and `quote` change one thing at a time."""

    def __init__(self, authority: Intel | None = None, key_bits: int = 384) -> None:
        self.authority = authority or intel()
        self.tls_key: PrivateKey = ec_key(40, key_bits)

    @property
    def spki(self) -> bytes:
        return spki_of(self.tls_key)

    def quote(self, **fields: Any) -> bytes:
        """Return a quote for the TLS key, in the legacy form."""
        return self.authority.quote(fields.pop("report_data", hashlib.sha256(self.spki).digest()), **fields)

    def claims(self, algorithm: int = 1, digest: bytes | None = None, **others: Any) -> bytes:
        """Return DICE claims; the digest is that of the TLS key unless given."""
        name = {1: "sha256", 7: "sha384", 8: "sha512"}.get(algorithm, "sha256")
        value = hashlib.new(name, self.spki).digest() if digest is None else digest
        return cbor({"pubkey-hash": cbor([algorithm, value]), **others})

    def dice(self, claims: bytes | None = None, tag: int = 60000, **fields: Any) -> bytes:
        """Return tagged evidence with a quote for the claims."""
        claimed = self.claims() if claims is None else claims
        quote = self.authority.quote(hashlib.sha256(claimed).digest(), **fields)
        return cbor_head(6, tag) + cbor([quote, claimed])

    def certificate(self, *extensions: Extension, **options: Any) -> bytes:
        """Return a certificate as mbedTLS makes it, by default with the quote in the legacy form."""
        listed = extensions or ((LEGACY, False, self.quote()),)
        key = options.pop("key", self.tls_key)
        signer = options.pop("signer", self.tls_key)
        options.setdefault("null_parameters", True)
        return certificate(key, signer, subject="RATLS", issuer="RATLS", extensions=listed, **options)
