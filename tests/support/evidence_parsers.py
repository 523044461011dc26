"""Every parser of evidence with something good for it, and what may come of anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from priolb.attest.certificate import parse_certificate, pem_blocks
from priolb.attest.der import Der, integer, oid, time
from priolb.attest.sev.document import parse_document
from priolb.attest.sev.measurements import decode_user_part, encode_user_part, parse_measurements
from priolb.attest.sev.report import parse_report
from priolb.attest.sev.tpm import parse_public, parse_quote, parse_signature
from priolb.attest.sgx.cbor import decode
from priolb.attest.sgx.collateral import Collateral
from priolb.attest.sgx.dcap import platform_of
from priolb.attest.sgx.quote import parse_sgx_quote
from priolb.attest.verdict import Refusal, Verdict
from support.sev_evidence import SevNode, ak_public, attest, rsa_key, signature
from support.sgx_evidence import SgxNode, intel

SEV = SevNode()
SGX = SgxNode()
HELD = intel().collateral()
LEAF = SGX.certificate()
SEV_LEAF = SEV.certificate()
DOCUMENT = json.dumps(SEV.document()).encode()
QUOTE = SGX.quote()

Parser = Callable[[bytes], Any]
PARSERS: list[tuple[Parser, bytes]] = [
    (parse_certificate, LEAF),
    (parse_document, DOCUMENT),
    (parse_measurements, json.dumps({"4": "00" * 32}).encode()),
    (parse_report, SEV.report(SEV.runtime_data())),
    (parse_public, ak_public(rsa_key(5))),
    (parse_quote, attest(b"extra", {4: bytes(32)})),
    (parse_signature, signature(rsa_key(5), b"data")),
    (decode, SGX.dice()),
    (parse_sgx_quote, QUOTE),
    (platform_of, QUOTE),
    (Collateral.from_json, HELD.to_json().encode()),
    (integer, b"\x01\x00"),
    (oid, b"\x2a\x86\x48"),
    (lambda data: time(Der(data)), b"\x17\x0d250101000000Z"),
    (lambda data: pem_blocks(data.decode("latin-1")), b"-----BEGIN CERTIFICATE-----"),
    (lambda data: decode_user_part(data.decode("latin-1")), encode_user_part(b"{}").encode()),
    (encode_user_part, b'{"4": "any"}'),
]
"""Each gives a value or raises `MalformedError`."""


def is_documented(verdict: Verdict) -> bool:
    """Whether a verdict is one of the two outcomes, and no fault of the verifier."""
    return verdict.refusal is not Refusal.VERIFIER_FAILED and (verdict.ok or verdict.detail != "")
