"""JSON of others is held to its types."""

import pytest

from priolb.attest.jsontext import DIGITS_MAX, ITEMS_MAX, member, octets, parse_object
from priolb.attest.reader import MalformedError


def test_an_object_is_returned() -> None:
    assert parse_object(b'{"a": %d}' % 10 ** (DIGITS_MAX - 1), "it") == {"a": 10 ** (DIGITS_MAX - 1)}
    assert parse_object(b'{"a": 1, "b": [true, null]}', "it") == {"a": 1, "b": [True, None]}


def test_so_many_items_are_enough() -> None:
    lists = ITEMS_MAX // 2 - 1
    assert len(parse_object('{"a": [' + ",".join(["[]"] * lists) + "]}", "it")["a"]) == lists
    for text in ("{" * (ITEMS_MAX + 1), b"[" * (ITEMS_MAX + 1), "," * (ITEMS_MAX + 1)):
        with pytest.raises(MalformedError, match=rf"^it has more than {ITEMS_MAX} items$"):
            parse_object(text, "it")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "it is no JSON"),
        (b"{", "it is no JSON"),
        (b"{} x", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b'{"a": ' + b"9" * (DIGITS_MAX + 1) + b"}", rf"{'9' * DIGITS_MAX}\.\.\. is too long a number"),
        (b"[" * ITEMS_MAX, "it is no JSON"),
        ('{"a": 1}'.encode("utf-16"), "it is no JSON"),
        (b'{"a": "\xed\xa0\x80"}', "it is no JSON"),
        (b'{"a": 1e-300}', "1e-300 is no whole number"),
        (b'{"a": 0.' + b"1" * 1000 + b"}", "0.111111111111111111 is no whole number"),
        (b"null", "it is no JSON object"),
        (b"[]", "it is no JSON object"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": -Infinity}', "-Infinity is no JSON"),
        (b'{"a": 1, "a": 1}', "a JSON object has a member twice"),
        (b'{"x": {"a": 1, "a": 1}}', "a JSON object has a member twice"),
    ],
)
def test_what_is_no_object_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        parse_object(text, "it")


def test_members_have_the_type_that_was_asked_for() -> None:
    owner = {"text": "x", "number": 1, "switch": True}
    assert (member(owner, "text", str), member(owner, "number", int), member(owner, "switch", bool)) == (
        "x",
        1,
        True,
    )
    with pytest.raises(MalformedError, match=r"^switch is not a whole number$"):
        member(owner, "switch", int)
    with pytest.raises(MalformedError, match=r"^nothing is not text$"):
        member(owner, "nothing", str)


def test_octets_are_in_one_form_of_base64() -> None:
    assert octets({"x": "AAE="}, "x") == b"\0\1"
    assert octets({"x": ""}, "x") == b""


@pytest.mark.parametrize("text", ["AAE", "AAE=\n", "A-E=", "é", "=", "AAE=="])
def test_octets_that_are_no_base64(text: str) -> None:
    with pytest.raises(MalformedError, match=r"^x is no base64"):
        octets({"x": text}, "x")


def test_octets_whose_unused_bits_are_set() -> None:
    with pytest.raises(MalformedError, match=r"^x is no base64 in its usual form$"):
        octets({"x": "AAF="}, "x")
