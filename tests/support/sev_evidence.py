"""A SEV node of our own making: an authority like AMD's, a chip, its report, a TPM, and a certificate."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from priolb.attest.sev.measurements import Measurement, encode_user_part
from priolb.attest.sev.policy import SevPolicy
from support.der_build import Extension, PrivateKey, certificate, integer, spki_of, tlv

NOW: Final = 1_750_000_000.0
HOUR_S: Final = 3600.0
NONCE: Final = bytes(range(32))
ATLS: Final = "1.3.9900.4.1"
ID_KEY: Final = bytes.fromhex(
    "0356215882a825279a85b300b0b742931d113bf7e32dde2e50ffde7ec743ca491ecdd7f336dc28a6e0b2bb57af7a44a3"
)
CHIP: Final = bytes(range(64))
TCB: Final = (3, 0, 8, 115)

SHA1: Final = 4
SHA256: Final = 11
SHA384: Final = 12
_HASHES: Final = {SHA256: hashes.SHA256(), SHA384: hashes.SHA384(), 13: hashes.SHA512(), SHA1: hashes.SHA1()}  # noqa: S303 - to be refused
_NAMES: Final = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", 13: "sha512"}

IS_AUTHORITY: Final[tuple[Extension, ...]] = (
    ("2.5.29.19", True, bytes.fromhex("30030101ff")),
    ("2.5.29.15", True, bytes.fromhex("03020204")),
)


@cache
def rsa_key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the key of this number: the same one in a whole run, for they take long to make."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(number: int, bits: int = 256) -> ec.EllipticCurvePrivateKey:
    """Return the key of this number: the same one in a whole run."""
    return ec.generate_private_key({256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}[bits])


@cache
def ark() -> bytes:
    """Return the root of our authority."""
    key = rsa_key(1, 4096)
    return certificate(key, key, subject="ARK-Ours", issuer="ARK-Ours", extensions=IS_AUTHORITY)


def ask(extensions: Sequence[Extension] = IS_AUTHORITY, **options: Any) -> bytes:
    """Return the certificate between root and chips."""
    key: PrivateKey = options.pop("key", rsa_key(2, 4096))
    signer: PrivateKey = options.pop("signer", rsa_key(1, 4096))
    return certificate(key, signer, subject="SEV-Ours", issuer="ARK-Ours", extensions=extensions, **options)


def vcek_extensions(tcb: Sequence[int] = TCB, chip: bytes = CHIP) -> list[Extension]:
    """Return what AMD writes into the certificate of a chip's key."""
    prefix = "1.3.6.1.4.1.3704.1."
    parts = [
        (f"{prefix}3.{number}", False, integer(part)) for number, part in zip((1, 2, 3, 8), tcb, strict=True)
    ]
    return [(f"{prefix}2", False, b"\x16\x08Milan-B0"), *parts, (f"{prefix}4", False, chip)]


def vcek(extensions: Sequence[Extension] | None = None, **options: Any) -> bytes:
    """Return the certificate of our chip's key; its serial number is 0, as AMD's are."""
    key: PrivateKey | bytes = options.pop("key", ec_key(3, 384))
    signer: PrivateKey = options.pop("signer", rsa_key(2, 4096))
    listed = vcek_extensions() if extensions is None else extensions
    return certificate(
        key, signer, subject="SEV-VCEK", issuer="SEV-Ours", serial=0, extensions=listed, **options
    )


def pem(*certificates: bytes) -> str:
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates))


def report(report_data: bytes, *, signer: ec.EllipticCurvePrivateKey | None = None, **fields: Any) -> bytes:
    """Return a signed report of version 2; fields by the names of `Report`, TCBs as four numbers."""
    raw = bytearray(0x4A0)

    def put(offset: int, value: bytes) -> None:
        raw[offset : offset + len(value)] = value

    def tcb(name: str) -> bytes:
        bootloader, tee, snp, microcode = fields.get(name, TCB)
        return bytes([bootloader, tee, 0, 0, 0, 0, snp, microcode])

    put(0x000, struct.pack("<II", fields.get("version", 2), 5))
    put(0x008, struct.pack("<Q", fields.get("policy", 0x3001F)))
    put(0x030, struct.pack("<II", fields.get("vmpl", 0), fields.get("algorithm", 1)))
    put(0x038, tcb("current_tcb"))
    put(0x050, report_data.ljust(64, b"\0"))
    put(0x090, fields.get("measurement", b"\x11" * 48))
    put(0x0E0, fields.get("id_key_digest", ID_KEY))
    put(0x180, tcb("committed_tcb"))
    put(0x188, fields.get("cpuid", b"\0\0\0"))
    put(0x1A0, fields.get("chip_id", CHIP))
    put(0x1E0, tcb("committed_tcb"))
    put(0x1F0, tcb("launch_tcb"))
    key = ec_key(3, 384) if signer is None else signer
    r, s = decode_dss_signature(key.sign(bytes(raw[:0x2A0]), ec.ECDSA(hashes.SHA384())))
    put(0x2A0, r.to_bytes(72, "little") + s.to_bytes(72, "little"))
    return bytes(raw)


def sized(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def ak_public(
    key: rsa.RSAPrivateKey, attributes: int = 0x00050072, exponent: int = 0, bits: int | None = None
) -> bytes:
    """Return TPMT_PUBLIC of a key for RSASSA with SHA-256."""
    numbers = key.public_key().public_numbers()
    modulus = numbers.n.to_bytes((key.key_size + 7) // 8, "big")
    head = struct.pack(">HHIHHHHHI", 1, 11, attributes, 0, 0x10, 0x14, 11, bits or key.key_size, exponent)
    return head + sized(modulus)


def attest(
    extra_data: bytes,
    pcrs: Mapping[int, bytes],
    *,
    bank: int = SHA256,
    digest_of: str = "sha256",
    magic: int = 0xFF544347,
    kind: int = 0x8018,
    selections: Sequence[tuple[int, bytes]] | None = None,
) -> bytes:
    """Return TPMS_ATTEST about some PCRs."""
    bits = sum(1 << index for index in pcrs).to_bytes(3, "little")
    listed = [(bank, bits)] if selections is None else selections
    packed = b"".join(struct.pack(">HB", alg, len(bitmap)) + bitmap for alg, bitmap in listed)
    digest = hashlib.new(digest_of, b"".join(value for _, value in sorted(pcrs.items()))).digest()
    head = struct.pack(">IH", magic, kind) + sized(b"\0\x0bname") + sized(extra_data)
    clock = struct.pack(">QIIBQ", 12345, 1, 2, 1, 0x2020)
    return head + clock + struct.pack(">I", len(listed)) + packed + sized(digest)


def signature(key: rsa.RSAPrivateKey, data: bytes, alg: int = SHA256, scheme: int = 0x14) -> bytes:
    """Return TPMT_SIGNATURE."""
    return struct.pack(">HH", scheme, alg) + sized(key.sign(data, padding.PKCS1v15(), _HASHES[alg]))


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


class SevNode:
    """A node: what it says is an attribute, and what is made of them can be overridden piece by piece."""

    def __init__(self, **report_fields: Any) -> None:
        self.report_fields = report_fields
        self.tls_key = ec_key(4)
        self.ak = rsa_key(5)
        self.ak_attributes = 0x00050072
        self.pcrs = {index: hashlib.sha256(bytes([index])).digest() for index in range(24)}
        self.vcek = vcek()
        self.chain = pem(ask(), ark())
        self.policy = SevPolicy(arks=(ark(),))

    @property
    def measurements(self) -> dict[int, Measurement]:
        """What a URI would name for this node: all PCRs, enforced."""
        return {index: Measurement(value) for index, value in self.pcrs.items()}

    def user_part(self, **changes: object) -> str:
        """Return what the URI of this node has in front of its host; changes: other values by their index."""
        named = {str(index): value.hex() for index, value in self.pcrs.items()}
        return f"SEV_{encode_user_part(json.dumps({**named, **changes}).encode())}"

    @property
    def user_data(self) -> bytes:
        return hashlib.sha256(spki_of(self.tls_key)).digest()

    def extra_data(self, nonce: bytes = NONCE) -> bytes:
        return hashlib.sha256(self.user_data + nonce).digest()

    def runtime_data(self, **changes: Any) -> bytes:
        numbers = self.ak.public_key().public_numbers()

        def base64url(value: int) -> str:
            octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
            return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

        named = {"kid": "HCLAkPub", "key_ops": ["sign"], "kty": "RSA", "e": base64url(numbers.e)}
        other = {
            "kid": "HCLEkPub",
            "kty": "RSA",
            "e": "AQAB",
            "n": base64url(rsa_key(6).public_key().public_numbers().n),
        }
        key = {**named, "n": base64url(numbers.n), **changes}
        return json.dumps({"keys": [key, other], "vm-configuration": {"secure-boot": True}}).encode()

    def report(self, runtime_data: bytes, **fields: Any) -> bytes:
        return report(hashlib.sha256(runtime_data).digest(), **{**self.report_fields, **fields})

    def quote(self, nonce: bytes = NONCE, bank: int = SHA256, **options: Any) -> dict[str, Any]:
        """Return a quote as in the document; options as those of `attest`, and `alg` of the signature."""
        alg = options.pop("alg", SHA256)
        signer = options.pop("signer", self.ak)
        size = {SHA1: 20, SHA256: 32, SHA384: 48}[bank]
        pcrs = options.pop(
            "pcrs", {index: value[:size].ljust(size, b"\0") for index, value in self.pcrs.items()}
        )
        signed = attest(self.extra_data(nonce), pcrs, bank=bank, digest_of=_NAMES[alg], **options)
        return {
            "quote": b64(signed),
            "raw_sig": b64(signature(signer, signed, alg)),
            "pcrs": {"hash": bank, "pcrs": {str(index): b64(value) for index, value in pcrs.items()}},
        }

    def document(self, nonce: bytes = NONCE, **parts: Any) -> dict[str, Any]:
        """Return the document, any of its parts replaced (see the body for their names)."""
        runtime_data = parts.get("runtime_data", self.runtime_data())
        instance = {
            "Vcek": b64(parts.get("vcek", pem(self.vcek)).encode()),
            "CertChain": b64(parts.get("chain", self.chain).encode()),
            "AttestationReport": b64(parts["report"] if "report" in parts else self.report(runtime_data)),
            "RuntimeData": b64(runtime_data),
            "MAAToken": "",
        }
        quotes = (
            parts["quotes"]
            if "quotes" in parts
            else [self.quote(nonce, bank) for bank in (SHA1, SHA256, SHA384)]
        )
        attestation = {
            "ak_pub": b64(parts.get("ak_pub", ak_public(self.ak, self.ak_attributes))),
            "quotes": quotes,
            "event_log": b64(b"not read"),
            "TeeAttestation": None,
        }
        if "ak_cert" in parts:
            attestation["ak_cert"] = b64(parts["ak_cert"])
        return {
            "Attestation": attestation,
            "InstanceInfo": b64(json.dumps(instance).encode()),
            "UserData": b64(parts.get("user_data", self.user_data)),
        }

    def certificate(self, document: dict[str, Any] | bytes | None = None, **options: Any) -> bytes:
        """Return the certificate that carries a document, by default the node's good one for NONCE."""
        if document is None:
            document = self.document()
        value = document if isinstance(document, bytes) else json.dumps(document).encode()
        options.setdefault("extensions", [(ATLS, False, value)])
        options.setdefault("not_before", NOW - 2 * HOUR_S)
        options.setdefault("not_after", NOW + 2 * HOUR_S)
        key = options.pop("key", self.tls_key)
        signer = options.pop("signer", self.tls_key)
        return certificate(key, signer, subject="Constellation", issuer="Constellation", **options)


def edited_instance(document: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the document with members of its InstanceInfo replaced."""
    instance = json.loads(base64.b64decode(document["InstanceInfo"]))
    return {**document, "InstanceInfo": b64(json.dumps({**instance, **members}).encode())}


def flag(bits: int) -> bytes:
    """Return a KeyUsage of these bits in its first octet."""
    return tlv(0x03, b"\0" + bytes([bits]))
