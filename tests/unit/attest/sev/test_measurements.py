"""Measurements in the forms that URIs of the original have, and no others."""

import base64
import gzip
import json
import zlib

import pytest

from priolb.attest.reader import MalformedError
from priolb.attest.sev.measurements import (
    DEFAULTS,
    JSON_MAX_BYTES,
    Measurement,
    decode_user_part,
    encode_user_part,
    never_matching,
    parse_measurements,
)

VALUE = bytes(range(32))
HEX = VALUE.hex()
BASE64 = base64.b64encode(VALUE).decode()


def test_the_defaults_are_those_of_constellation_on_azure() -> None:
    placeholder, zero = bytes.fromhex("1234" * 16), bytes(32)
    values = {4: placeholder, 8: zero, 9: placeholder, 11: zero, 12: placeholder, 13: zero, 15: zero}
    assert {index: each.expected for index, each in DEFAULTS.items()} == values
    assert not any(each.warn_only for each in DEFAULTS.values())


@pytest.mark.parametrize(
    ("text", "index", "measurement"),
    [
        (f'{{"4": {{"expected": "{HEX}", "warnOnly": false}}}}', 4, Measurement(VALUE)),
        (f'{{"4": {{"expected": "{HEX}", "warnOnly": true}}}}', 4, Measurement(VALUE, True)),
        (f'{{"4": {{"expected": "{HEX}", "warnOnly": null}}}}', 4, Measurement(VALUE)),
        (f'{{"4": {{"expected": "{HEX}"}}}}', 4, Measurement(VALUE)),
        (f'{{"4": {{"EXPECTED": "{HEX}", "WarnOnly": true, "x": 1}}}}', 4, Measurement(VALUE, True)),
        (f'{{"4": "{HEX}"}}', 4, Measurement(VALUE)),
        (f'{{"4": "{HEX.upper()}"}}', 4, Measurement(VALUE)),
        (f'{{"4": "{BASE64}"}}', 4, Measurement(VALUE)),
        (f'{{"4": "{BASE64[:9]}\\r\\n{BASE64[9:]}"}}', 4, Measurement(VALUE)),
        (f'{{"04": "{HEX}"}}', 4, Measurement(VALUE)),
        (f'{{"24": "{HEX}"}}', 24, Measurement(VALUE)),
        (f'{{"4294967295": "{HEX}"}}', 4294967295, Measurement(VALUE)),
    ],
)
def test_what_a_json_names_is_merged_into_the_defaults(
    text: str, index: int, measurement: Measurement
) -> None:
    assert parse_measurements(text) == {**DEFAULTS, index: measurement}


def test_an_empty_object_names_nothing() -> None:
    assert parse_measurements("{}") == DEFAULTS


def refusals() -> list[tuple[str, str]]:
    keys = [
        (key, "have a key that is no index of a PCR")
        for key in ("+4", "-1", " 4", "0x4", "4294967296", "", "four")
    ]
    refused = [(f'{{"{key}": "{HEX}"}}', f"measurements {what}") for key, what in keys]
    what = "measurement of PCR 4"
    return [
        *refused,
        (f'{{"4": "{HEX}", "04": "{HEX}"}}', "measurements name PCR 4 twice"),
        (f'{{"4": "{HEX}", "4": "{HEX}"}}', "a JSON object has a member twice"),
        ('{"4": "any"}', f"{what} is neither hex nor base64"),
        ('{"4": "é"}', f"{what} is neither hex nor base64"),
        (f'{{"4": "{BASE64.rstrip("=")}"}}', f"{what} is neither hex nor base64"),
        ('{"4": "_-__"}', f"{what} is neither hex nor base64"),
        ('{"4": ""}', f"{what} is not 32 bytes"),
        (f'{{"4": "{HEX[2:]}"}}', f"{what} is not 32 bytes"),
        (f'{{"4": "{HEX}00"}}', f"{what} is not 32 bytes"),
        ('{"4": {}}', f"{what} has no expected value"),
        ('{"4": {"expected": 1}}', f"{what} has no expected value"),
        ('{"4": {"expected": null}}', f"{what} has no expected value"),
        (f'{{"4": {{"expected": "{HEX}", "Expected": "{HEX}"}}}}', f"{what} has a member twice"),
        (f'{{"4": {{"expected": "{HEX}", "warnOnly": 1}}}}', f"{what}: warnOnly is neither true nor false"),
        (
            f'{{"4": {{"expected": "{HEX}", "warnOnly": "true"}}}}',
            f"{what}: warnOnly is neither true nor false",
        ),
        ('{"4": null}', f"{what} is neither an object nor text"),
        ('{"4": []}', f"{what} is neither an object nor text"),
        ('{"4": 4}', f"{what} is neither an object nor text"),
        ("null", "measurements is no JSON object"),
        ("[]", "measurements is no JSON object"),
        ("{} {}", "measurements is no JSON"),
        ("", "measurements is no JSON"),
    ]


@pytest.mark.parametrize(("text", "message"), refusals())
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_measurements(text)
    assert str(caught.value) == message


def packed(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


def test_a_user_part_is_json_in_gzip_in_base64url() -> None:
    document = json.dumps({"4": HEX}).encode()
    assert decode_user_part(packed(gzip.compress(document)))[4] == Measurement(VALUE)
    wrapped = base64.encodebytes(gzip.compress(document)).translate(bytes.maketrans(b"+/", b"-_")).decode()
    assert decode_user_part(wrapped)[4] == Measurement(VALUE), "as in the original, lines may be wrapped"
    halves = gzip.compress(document[:5]) + gzip.compress(document[5:])
    assert decode_user_part(packed(halves))[4] == Measurement(VALUE), "a gzip may have several members"


def test_what_is_encoded_is_decoded_and_is_always_the_same() -> None:
    document = json.dumps({"4": {"expected": HEX, "warnOnly": True}}, indent=4).encode()
    text = encode_user_part(document)
    assert decode_user_part(text) == {**DEFAULTS, 4: Measurement(VALUE, True)}
    assert encode_user_part(document) == text
    unpacked = gzip.decompress(base64.urlsafe_b64decode(text))
    assert unpacked == f'{{"4":{{"expected":"{HEX}","warnOnly":true}}}}'.encode()


def test_what_cannot_be_decoded_is_not_encoded() -> None:
    with pytest.raises(MalformedError, match=r"^measurements is no JSON object$"):
        encode_user_part(b"null")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("*", "what follows SEV_ is no base64url with padding"),
        ("AAAA ", "what follows SEV_ is no base64url with padding"),
        ("AA\r\nAA\n", "what follows SEV_ is no gzip"),
        ("AA", "what follows SEV_ is no base64url with padding"),
        ("A+/A", "what follows SEV_ is no base64url with padding"),
        ("", "measurements is no JSON"),
        (packed(b"no gzip"), "what follows SEV_ is no gzip"),
        (packed(gzip.compress(b"{}") + b"tail"), "what follows SEV_ is no gzip"),
        (packed(gzip.compress(b"{}")[:-1]), "what follows SEV_ is a gzip that ends early"),
        (packed(gzip.compress(b"{}")[:-8] + bytes(8)), "what follows SEV_ is no gzip"),
        (packed(zlib.compress(b"{}")), "what follows SEV_ is no gzip"),
        (packed(gzip.compress(b"null")), "measurements is no JSON object"),
    ],
)
def test_a_user_part_that_is_something_else(text: str, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        decode_user_part(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("members", [1, 3])
def test_a_gzip_bomb_is_not_unpacked(members: int) -> None:
    bomb = gzip.compress(b" " * (JSON_MAX_BYTES // members + 1)) * members
    with pytest.raises(MalformedError, match=f"^the measurements are longer than {JSON_MAX_BYTES} bytes$"):
        decode_user_part(packed(bomb))
    assert decode_user_part(packed(gzip.compress(b"{}".ljust(JSON_MAX_BYTES)))) == DEFAULTS


def test_enforced_values_that_no_node_has_are_named() -> None:
    assert never_matching(DEFAULTS) == [4, 9, 12]
    named = parse_measurements(json.dumps({str(index): HEX for index in (4, 9, 12, 24)}))
    assert never_matching(named) == [24]
    assert never_matching({23: Measurement(VALUE)}) == []
    assert never_matching({24: Measurement(VALUE, warn_only=True)}) == []
