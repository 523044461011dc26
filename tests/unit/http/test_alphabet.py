"""Tables that change every byte but some."""

import pytest

from priolb.http.alphabet import changing_others


@pytest.mark.parametrize("letters", [b"", b"a", b"abc", bytes(range(33, 127)), bytes(range(256))])
def test_a_text_stays_the_same_exactly_when_it_is_made_of_the_letters(letters: bytes) -> None:
    table = changing_others(letters)
    for byte in range(256):
        for text in (bytes([byte]), letters + bytes([byte]), bytes([byte]) + letters):
            assert (text.translate(table) == text) == (byte in letters)


def test_nothing_is_made_of_any_letters() -> None:
    assert b"".translate(changing_others(b"")) == b""
