"""DER is taken in its one strict form."""

import pytest

from priolb.attest import der
from priolb.attest.der import Der
from priolb.attest.reader import MalformedError
from support.der_build import integer, oid, time, tlv


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_an_element_is_taken_whole_and_its_content_alone(size: int) -> None:
    content = bytes(size)
    element = tlv(der.OCTET_STRING, content)
    assert Der(element + b"\x05\x00").raw() == element
    cursor = Der(element)
    assert cursor.next_is(der.OCTET_STRING)
    assert cursor.content(der.OCTET_STRING) == content
    assert cursor.is_at_end
    assert not cursor.next_is(der.OCTET_STRING)
    cursor.end()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "DER ends early"),
        (b"\x04", "DER ends early"),
        (b"\x04\x02a", "DER ends early"),
        (b"\x02\x01a", "DER has tag 0x02 where 0x04 should be"),
        (b"\x04\x80a\0\0", "DER has a length that is not in its shortest form"),  # indefinite
        (b"\x04\x81\x01a", "DER has a length that is not in its shortest form"),
        (b"\x04\x82\x00\x80" + bytes(128), "DER has a length that is not in its shortest form"),
        (b"\x04\x81", "DER has a length that is not in its shortest form"),
        (b"\x04\x82\x80", "DER has a length that is not in its shortest form"),
        (b"\x04\x85\x80\0\0\0\0", "DER has a length that is not in its shortest form"),
    ],
)
def test_what_is_no_der_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        Der(data).content(der.OCTET_STRING)


def test_bytes_too_many_are_refused() -> None:
    with pytest.raises(MalformedError, match=r"^DER has bytes too many$"):
        Der(b"\0").end()


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, -1, -127, -129, 2**64])
def test_numbers(value: int) -> None:
    assert der.integer(Der(integer(value)).content(der.INTEGER)) == value


@pytest.mark.parametrize("content", [b"", b"\0\x7f", b"\xff\x80"])
def test_numbers_that_are_empty_or_padded_are_refused(content: bytes) -> None:
    with pytest.raises(MalformedError, match=r"^DER has a number that is not in its shortest form$"):
        der.integer(content)


@pytest.mark.parametrize(
    "dotted",
    [
        "1.2.16384",
        "0.6.9.42.840.113741.1337.6",
        "1.2.840.113741.1.13.1",
        "1.3.9900.4.1",
        "2.23.133.5.4.9",
        "2.999.1",
    ],
)
def test_object_identifiers(dotted: str) -> None:
    assert der.oid(Der(oid(dotted)).content(der.OID)) == dotted


def test_the_identifier_that_gramine_wrote_by_mistake() -> None:
    assert der.oid(bytes.fromhex("06092A864886F84D8A3906")) == "0.6.9.42.840.113741.1337.6"


def test_an_identifier_of_64_bytes_is_not_too_long() -> None:
    assert der.oid(b"\x2a" * 64) == ".".join(["1.2", *["42"] * 63])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "DER has a broken object identifier"),
        (b"\x2a\x86", "DER has a broken object identifier"),
        (b"\x2a" * 65, "DER has a broken object identifier"),
        (b"\x2a\x80\x01", "DER has a padded object identifier"),
    ],
)
def test_object_identifiers_that_are_none(content: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        der.oid(content)


@pytest.mark.parametrize("unix_s", [0.0, 978_307_200.0, 1_750_000_000.0, 2_524_607_999.0, 2_524_608_000.0])
def test_times_up_to_2049_are_short_and_later_ones_long(unix_s: float) -> None:
    assert der.time(Der(time(unix_s))) == unix_s


def test_short_times_from_50_on_are_of_the_last_century() -> None:
    assert der.time(Der(tlv(der.UTC_TIME, b"500101000000Z"))) == -631_152_000.0
    assert der.time(Der(tlv(der.UTC_TIME, b"491231235959Z"))) == 2_524_607_999.0


@pytest.mark.parametrize(
    ("tag", "text", "message"),
    [
        (der.UTC_TIME, b"2501010000Z", "DER has a time that is not in the form of certificates"),
        (der.UTC_TIME, b"250101000000+", "DER has a time that is not in the form of certificates"),
        (der.UTC_TIME, b"2501 1000000Z", "DER has a time that is not in the form of certificates"),
        (der.UTC_TIME, b"25010100000\xb2Z", "DER has a time that is not in the form of certificates"),
        (
            der.GENERALIZED_TIME,
            b"20500101000000.5Z",
            "DER has a time that is not in the form of certificates",
        ),
        (der.UTC_TIME, b"250230000000Z", "DER has a time that does not exist"),
        (der.OCTET_STRING, b"250101000000Z", "DER has tag 0x04 where 0x18 should be"),
    ],
)
def test_times_that_are_none(tag: int, text: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}$"):
        der.time(Der(tlv(tag, text)))
