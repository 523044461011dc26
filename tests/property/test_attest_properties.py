"""Whatever evidence says, only the documented refusals come out."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from priolb.attest.certificate import check_leaf
from priolb.attest.expectation import parse_expectation
from priolb.attest.reader import MalformedError
from priolb.attest.sev.measurements import DEFAULTS, decode_user_part, encode_user_part
from priolb.attest.sev.tpm import parse_public
from priolb.attest.sev.verify import verify_sev
from priolb.attest.sgx.cbor import decode
from priolb.attest.sgx.dcap import check_with_intel
from priolb.attest.sgx.verify import verify_sgx
from priolb.attest.verdict import NotProven
from priolb.errors import ConfigError
from priolb.nodes.uri import parse_node_uri
from support.evidence_parsers import (
    DOCUMENT,
    HELD,
    LEAF,
    PARSERS,
    QUOTE,
    SEV,
    SEV_LEAF,
    SGX,
    Parser,
    is_documented,
)
from support.sev_evidence import ATLS, NONCE
from support.sev_evidence import NOW as SEV_NOW
from support.sgx_evidence import DICE, LEGACY, MRENCLAVE, NOW, PLATFORM, cbor, intel


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Draw bytes that are nearly good: some of them changed, cut out or put in."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        count = draw(st.integers(0, 8))
        data[start : start + count] = draw(st.binary(max_size=8))
    return bytes(data)


def outcome_of(call: Callable[[], object], documented: type[Exception]) -> str:
    """Return "fine" or the text of the one error that may come out; any other error comes through."""
    try:
        call()
    except documented as error:
        return str(error)
    return "fine"


def anything(good: bytes) -> st.SearchStrategy[bytes]:
    """Return a strategy for bytes that are good, nearly good, or nothing of the kind."""
    return st.one_of(st.binary(max_size=300), damaged(good), st.just(good))


@pytest.mark.parametrize(("parser", "good"), PARSERS)
@given(data=st.data())
def test_a_parser_gives_a_value_or_says_what_is_malformed(
    parser: Parser, good: bytes, data: st.DataObject
) -> None:
    drawn = data.draw(anything(good))
    assert outcome_of(lambda: parser(drawn), MalformedError)


@given(data=anything(LEAF))
def test_a_leaf_is_taken_or_refused(data: bytes) -> None:
    assert outcome_of(lambda: check_leaf(data), NotProven)


@given(data=anything(QUOTE))
def test_the_library_for_quotes_gives_a_state_or_a_refusal(data: bytes) -> None:
    assert outcome_of(lambda: check_with_intel(data, HELD, intel().root.der, NOW), NotProven)


@given(data=anything(DOCUMENT))
def test_a_document_in_a_good_certificate(data: bytes) -> None:
    leaf = SEV.certificate(extensions=[(ATLS, False, data)])
    verdict = verify_sev(leaf, SEV.measurements, SEV.policy, SEV_NOW, NONCE)
    assert is_documented(verdict)
    if verdict.ok:
        assert json.loads(data)["UserData"] == SEV.document()["UserData"]


@given(data=st.data())
def test_a_part_of_a_good_document_that_is_damaged(data: st.DataObject) -> None:
    document = SEV.document()
    attestation = document["Attestation"]
    quote = attestation["quotes"][1]
    owner, name = data.draw(
        st.sampled_from(
            [(attestation, "ak_pub"), (quote, "quote"), (quote, "raw_sig"), (document, "InstanceInfo")]
        )
    )
    good = base64.b64decode(owner[name])
    changed = data.draw(damaged(good))
    owner[name] = base64.b64encode(changed).decode()
    verdict = verify_sev(SEV.certificate(document), SEV.measurements, SEV.policy, SEV_NOW, NONCE)
    assert is_documented(verdict)
    if name in ("quote", "raw_sig"):
        assert verdict.ok is (changed == good)
    elif name == "ak_pub" and verdict.ok:  # what else stands there is nobody's word
        before, after = parse_public(good), parse_public(changed)
        assert (before.modulus, before.exponent) == (after.modulus, after.exponent)


@given(data=anything(SEV_LEAF))
def test_a_certificate_of_a_sev_node(data: bytes) -> None:
    verdict = verify_sev(data, SEV.measurements, SEV.policy, SEV_NOW, NONCE)
    assert is_documented(verdict)
    assert verdict.ok is (data == SEV_LEAF)


@given(data=anything(LEAF))
def test_a_certificate_of_a_sgx_node(data: bytes) -> None:
    verdict = verify_sgx(data, MRENCLAVE, intel().policy, {PLATFORM: HELD}, NOW)
    assert is_documented(verdict)
    assert verdict.ok is (data == LEAF)


@given(data=anything(QUOTE))
def test_a_quote_in_a_good_certificate(data: bytes) -> None:
    verdict = verify_sgx(
        SGX.certificate((LEGACY, False, data)), MRENCLAVE, intel().policy, {PLATFORM: HELD}, NOW
    )
    assert is_documented(verdict)


@given(data=anything(SGX.dice()))
def test_dice_evidence_in_a_good_certificate(data: bytes) -> None:
    verdict = verify_sgx(
        SGX.certificate((DICE, False, data)), MRENCLAVE, intel().policy, {PLATFORM: HELD}, NOW
    )
    assert is_documented(verdict)


CBOR_VALUES = st.recursive(
    st.integers(0, 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=3,  # so that it is not nested deeper than evidence may be
)


@given(value=CBOR_VALUES)
def test_cbor_that_is_written_is_read_the_same(value: Any) -> None:
    assert decode(cbor(value)) == value


PCR_VALUES = st.binary(min_size=32, max_size=32)
NAMED = st.dictionaries(st.integers(0, 30), st.tuples(PCR_VALUES, st.booleans(), st.booleans()), max_size=24)


@given(named=NAMED)
def test_measurements_that_are_written_are_read_the_same(named: dict[int, tuple[bytes, bool, bool]]) -> None:
    document = {
        str(index): {
            "expected": value.hex() if in_hex else base64.b64encode(value).decode(),
            "warnOnly": warns,
        }
        for index, (value, warns, in_hex) in named.items()
    }
    read = decode_user_part(encode_user_part(json.dumps(document).encode()))
    expected = {index: (value, warns) for index, (value, warns, _) in named.items()}
    defaults = {index: (each.expected, each.warn_only) for index, each in DEFAULTS.items()}
    assert {index: (each.expected, each.warn_only) for index, each in read.items()} == {
        **defaults,
        **expected,
    }


USER_PARTS = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=60).map(lambda data: "SEV_" + base64.urlsafe_b64encode(data).decode()),
    st.binary(max_size=60).map(lambda data: "SEV_" + base64.b64encode(data).decode()),
    st.binary(max_size=60).map(lambda data: "SEV_" + base64.urlsafe_b64encode(gzip.compress(data)).decode()),
    st.text("0123456789abcdefABCDEF", max_size=70).map(lambda digits: f"SGX_{digits}"),
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["_arks", "_id_keys", "_min_tcb", "_allow_tcb"]), st.text(max_size=20), max_size=3
)


@given(user_part=USER_PARTS, parameters=PARAMETERS)
def test_an_expectation_is_parsed_or_malformed(user_part: str, parameters: dict[str, str]) -> None:
    assert outcome_of(lambda: parse_expectation(user_part, parameters), MalformedError)


@given(
    scheme=st.sampled_from(["http", "https"]),
    user_part=st.one_of(USER_PARTS, st.just("SGX_" + "00" * 32)),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
)
def test_a_uri_with_a_user_part_is_taken_or_refused_and_never_unattested(
    scheme: str, user_part: str, query: str
) -> None:
    uri = f"{scheme}://{user_part}@foo?{query}"
    with contextlib.suppress(ConfigError):
        parsed = parse_node_uri(uri)
        if parsed.expectation is None:
            # Characters that end the host may come before the @; then there is no user part at all.
            assert not user_part.startswith(("SEV_", "SGX_"))
        else:
            assert scheme == "https"
