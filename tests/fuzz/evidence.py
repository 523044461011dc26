"""What nodes show, and what URIs ask of them: a verdict or a documented error comes out, whatever goes in."""

import base64
import contextlib
import gzip
import json
import re

from priolb.attest.reader import MalformedError
from priolb.attest.sev.verify import verify_sev
from priolb.attest.sgx.collateral import Collateral, Platform
from priolb.attest.sgx.origin import check_origin
from priolb.attest.sgx.verify import verify_sgx
from priolb.attest.verdict import Verdict
from priolb.errors import ConfigError
from priolb.nodes.uri import parse_node_uri
from support.evidence_parsers import DOCUMENT, HELD, LEAF, PARSERS, QUOTE, SEV, SEV_LEAF, SGX, is_documented
from support.sev_evidence import NONCE
from support.sev_evidence import NOW as SEV_NOW
from support.sgx_evidence import DICE, LEGACY, MRENCLAVE, NOW, PLATFORM, intel

_NAMED = json.dumps(dict.fromkeys(("4", "9", "12"), "11" * 32)).encode()
_MEASURED = base64.urlsafe_b64encode(gzip.compress(_NAMED, mtime=0)).decode()

_SIGNED_BYTES = 432  # header and report of a quote
_USER_DATA = SEV.document()["UserData"]

CERTIFICATES = [SEV_LEAF, LEAF, SGX.certificate((DICE, False, SGX.dice()))]
DOCUMENTS = [DOCUMENT]
SGX_EVIDENCE = [QUOTE, SGX.dice()]
COLLATERAL = [HELD.to_json().encode()]
PARTS = [bytes([index]) + good for index, (_, good) in enumerate(PARSERS)]
_URIS = [
    f"https://SEV_{_MEASURED}@foo:8545/rpc?_workers=2&_min_tcb=3.0.8.115&_arks=milan&_id_keys=constellation",
    f"https://SGX_{'ab' * 32}@foo?_allow_tcb=OutOfDate,SWHardeningNeeded",
    f"http://SGX_{'ab' * 32}@[::1]:1/",
    "https://user:word@foo?_insecure=1&_weight=2",
]
NODE_URIS = [uri.encode() for uri in _URIS]


def certificates(data: bytes) -> None:
    """Only the very certificates that were made prove something."""
    of_sev = _sev(data)
    assert of_sev.ok is (data == SEV_LEAF)
    of_sgx = _sgx(data)
    assert of_sgx.ok is (data in CERTIFICATES[1:])


def documents(data: bytes) -> None:
    """A document in a good certificate: it is accepted when all that it is signed for is as it was."""
    verdict = _sev(SEV.certificate(data))
    if verdict.ok:
        assert json.loads(data)["UserData"] == _USER_DATA


def sgx_evidence(data: bytes) -> None:
    """A quote, or DICE evidence, in a good certificate: what was signed is as it was if it is accepted."""
    if _sgx(SGX.certificate((LEGACY, False, data))).ok:
        assert data[:_SIGNED_BYTES] == QUOTE[:_SIGNED_BYTES]
    if _sgx(SGX.certificate((DICE, False, data))).ok:
        assert SGX.claims() in data


def collateral(data: bytes) -> None:
    """Collateral is refused, or is what Intel has signed, or does not make a node pass."""
    with contextlib.suppress(MalformedError):
        held = Collateral.from_json(data)
        verdict = verify_sgx(LEAF, MRENCLAVE, intel().policy, {Platform(*PLATFORM): held}, NOW)
        assert is_documented(verdict)
        check_origin(held, intel().root.der)
        assert (held.tcb_info, held.qe_identity) == (HELD.tcb_info, HELD.qe_identity)
        assert (held.pck_crl, held.root_ca_crl) == (HELD.pck_crl, HELD.root_ca_crl)


def evidence_parts(data: bytes) -> None:
    """Each parser, named by the first byte, gives a value or says what is malformed."""
    if data:
        parser, _ = PARSERS[data[0] % len(PARSERS)]
        with contextlib.suppress(MalformedError):
            parser(data[1:])


def node_uris(data: bytes) -> None:
    """A URI is refused without its user part, or the node has to prove itself if there is one."""
    uri = data.decode("latin-1")
    user_part = _user_part(uri)
    parsed, shown = None, ""
    try:
        parsed = parse_node_uri(uri)
    except ConfigError as error:
        shown = str(error)
    if user_part is not None and re.fullmatch("(SEV|SGX)_[A-Za-z0-9_=%-]+", user_part):
        assert user_part not in shown
    if parsed is not None:
        assert (parsed.expectation is not None) is (user_part is not None)
        assert parsed.is_tls or user_part is None


def _user_part(uri: str) -> str | None:
    """Return what stands before the last @ of the authority (RFC 3986, section 3.2), None without one."""
    authority = re.split("[/?#]", uri.partition("//")[2], maxsplit=1)[0]
    return authority.rpartition("@")[0] if "@" in authority else None


def _sev(leaf: bytes) -> Verdict:
    verdict = verify_sev(leaf, SEV.measurements, SEV.policy, SEV_NOW, NONCE)
    assert is_documented(verdict)
    return verdict


def _sgx(leaf: bytes) -> Verdict:
    verdict = verify_sgx(leaf, MRENCLAVE, intel().policy, {PLATFORM: HELD}, NOW)
    assert is_documented(verdict)
    return verdict
