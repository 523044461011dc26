"""The document of a SEV node has its parts in their types, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from priolb.attest.reader import MalformedError
from priolb.attest.sev.document import DOCUMENT_MAX_BYTES, parse_document
from support.sev_evidence import SHA1, SHA256, SHA384, SevNode, b64, edited_instance, pem

Document = dict[str, Any]


@pytest.fixture
def document() -> Document:
    return SevNode().document()


def parse(document: Document) -> Any:
    return parse_document(json.dumps(document).encode())


def test_a_document_is_taken_apart() -> None:
    node = SevNode()
    parsed = parse(node.document())
    assert [quote.bank for quote in parsed.quotes] == [SHA1, SHA256, SHA384]
    assert parsed.quotes[1].pcrs == node.pcrs
    assert (parsed.vcek, parsed.chain) == (pem(node.vcek), node.chain)
    assert (parsed.user_data, parsed.runtime_data) == (node.user_data, node.runtime_data())
    assert parsed.ak_certificate is None


def test_sixteen_quotes_are_not_too_many(document: Document) -> None:
    quote = document["Attestation"]["quotes"][1]
    assert len(parse(changed(document, "Attestation/quotes", [quote] * 16)).quotes) == 16


def test_unknown_members_are_ignored(document: Document) -> None:
    assert parse({**document, "More": 1}).user_data == SevNode().user_data


def changed(document: Document, path: str, value: object) -> Document:
    """Return a copy of the document with the member at a path replaced, or left out for None."""
    copy: Document = json.loads(json.dumps(document))
    *owners, last = path.split("/")
    target: Any = copy
    for name in owners:
        target = target[int(name) if name.isdigit() and isinstance(target, list) else name]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("Attestation", None, "Attestation is not an object"),
        ("Attestation", [], "Attestation is not an object"),
        ("Attestation/TeeAttestation", {}, "TeeAttestation is not null"),
        ("Attestation/ak_pub", None, "ak_pub is not text"),
        ("Attestation/ak_pub", "*", "ak_pub is no base64"),
        ("Attestation/ak_cert", "*", "ak_cert is no base64"),
        ("Attestation/quotes", None, "quotes is not a list"),
        ("Attestation/quotes", [1], "a quote is not an object"),
        ("Attestation/quotes", [{}] * 17, "there are more than 16 quotes"),
        ("Attestation/quotes/1/quote", 1, "quote is not text"),
        ("Attestation/quotes/1/raw_sig", None, "raw_sig is not text"),
        ("Attestation/quotes/1/pcrs", None, "pcrs is not an object"),
        ("Attestation/quotes/1/pcrs/hash", "11", "hash is not a whole number"),
        ("Attestation/quotes/1/pcrs/hash", True, "hash is not a whole number"),
        ("Attestation/quotes/1/pcrs/pcrs", [], "pcrs is not an object"),
        ("Attestation/quotes/1/pcrs/pcrs/24", "", "a quote has a PCR that is not one of 0 to 23"),
        ("Attestation/quotes/1/pcrs/pcrs/04", "", "a quote has a PCR that is not one of 0 to 23"),
        ("Attestation/quotes/1/pcrs/pcrs/x", "", "a quote has a PCR that is not one of 0 to 23"),
        ("Attestation/quotes/1/pcrs/pcrs/4", 0, "4 is not text"),
        ("InstanceInfo", None, "InstanceInfo is not text"),
        ("InstanceInfo", {}, "InstanceInfo is not text"),
        ("InstanceInfo", b64(b"x"), "InstanceInfo is no JSON"),
        ("InstanceInfo", b64(b"[]"), "InstanceInfo is no JSON object"),
        ("UserData", None, "UserData is not text"),
        ("UserData", "AAF=", "UserData is no base64 in its usual form"),
    ],
)
def test_a_part_that_is_missing_or_of_another_type(
    document: Document, path: str, value: object, message: str
) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        parse(changed(document, path, value))


@pytest.mark.parametrize("name", ["Vcek", "CertChain", "AttestationReport", "RuntimeData"])
def test_a_part_of_the_instance_that_is_of_another_type(document: Document, name: str) -> None:
    with pytest.raises(MalformedError, match=f"^{name} is not text$"):
        parse(edited_instance(document, **{name: None}))


def test_a_certificate_that_is_no_text(document: Document) -> None:
    with pytest.raises(MalformedError, match=r"^Vcek is no PEM$"):
        parse(edited_instance(document, Vcek=b64(b"\xff")))


def test_a_member_twice_and_a_document_that_is_too_long(document: Document) -> None:
    twice: Callable[[str], bytes] = lambda text: (text[:-1] + ', "UserData": ""}').encode()  # noqa: E731
    with pytest.raises(MalformedError, match=r"^a JSON object has a member twice$"):
        parse_document(twice(json.dumps(document)))
    with pytest.raises(MalformedError, match=f"^the document is longer than {DOCUMENT_MAX_BYTES} bytes$"):
        parse_document(json.dumps(document).encode().ljust(DOCUMENT_MAX_BYTES + 1))
    assert parse_document(json.dumps(document).encode().ljust(DOCUMENT_MAX_BYTES)).user_data
