"""Numbers that are looked up are what they would be rendered to."""

import pytest

from priolb.http.numbers import NUMBERS, THREE_DIGITS, decimal


def test_tables_hold_what_their_names_say() -> None:
    assert [int(text) for text in NUMBERS] == list(range(1000))
    assert [len(text) for text in NUMBERS] == [1] * 10 + [2] * 90 + [3] * 900
    assert [int(text) for text in THREE_DIGITS] == list(range(1000))
    assert {len(text) for text in THREE_DIGITS} == {3}


@pytest.mark.parametrize("number", [0, 1, 999, 1000, 1001, 10**9, 2**64])
def test_decimal(number: int) -> None:
    assert decimal(number) == str(number).encode()
