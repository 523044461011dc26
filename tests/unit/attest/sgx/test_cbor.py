"""CBOR in the forms that evidence uses; the examples are those of RFC 8949, appendix A."""

from typing import Any

import pytest

from priolb.attest.reader import MalformedError
from priolb.attest.sgx.cbor import Tagged, decode


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1a000f4240", 1_000_000),
        ("1bffffffffffffffff", 18446744073709551615),
        ("20", -1),
        ("3903e7", -1000),
        ("4401020304", b"\1\2\3\4"),
        ("62c3bc", "ü"),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("a201020304", {1: 2, 3: 4}),
        ("d9ea6080", Tagged(60000, [])),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("f7", None),
        ("f93c00", 1.0),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
    ],
)
def test_a_value(text: str, value: Any) -> None:
    assert decode(bytes.fromhex(text)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the CBOR ends early"),
        ("18", "the CBOR ends early"),
        ("44010203", "the CBOR ends early"),
        ("9bffffffffffffffff", "the CBOR ends early"),
        ("0000", "the CBOR has 1 bytes too many"),
        ("5f41014102ff", "the CBOR has an indefinite or reserved length"),
        ("9fff", "the CBOR has an indefinite or reserved length"),
        ("bfff", "the CBOR has an indefinite or reserved length"),
        ("1c", "the CBOR has an indefinite or reserved length"),
        ("ff", "the CBOR has a value of an unknown kind"),
        ("e0", "the CBOR has a value of an unknown kind"),
        ("f8ff", "the CBOR has a value of an unknown kind"),
        ("61ff", "the CBOR has text that is not UTF-8"),
        ("a2616100616101", "the CBOR has a key twice"),
        ("a14000", "the CBOR has a key that is neither number nor text"),
        ("a1f500", "the CBOR has a key that is neither number nor text"),
        ("81" * 8 + "00", "the CBOR is nested too deep or has too many items"),
        ("c1" * 8 + "00", "the CBOR is nested too deep or has too many items"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        decode(bytes.fromhex(text))


def test_seven_levels_are_not_too_deep() -> None:
    assert decode(bytes.fromhex("81" * 7 + "00")) == [[[[[[[0]]]]]]]


def test_a_thousand_items_are_enough() -> None:
    assert decode(bytes.fromhex("9903e7") + bytes(999)) == [0] * 999
    with pytest.raises(MalformedError, match=r"too many items$"):
        decode(bytes.fromhex("9903e8") + bytes(1000))
