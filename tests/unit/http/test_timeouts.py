"""How long a client says that it waits."""

from math import inf

import pytest

from priolb.errors import ClientError
from priolb.http.timeouts import timeout_of

SECONDS = b"x-request-timeout"
GRPC = b"grpc-timeout"


def refusal(known: dict[bytes, bytes]) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        timeout_of(known)
    return error.value.status, str(error.value)


def test_a_client_that_says_nothing_waits_as_long_as_it_takes() -> None:
    assert timeout_of({b"host": b"a"}) == inf


@pytest.mark.parametrize(
    ("value", "timeout_s"),
    [
        (b"1", 1.0),
        (b"0.5", 0.5),
        (b"007", 7.0),
        (b"999999", 999999.0),
        (b"2.000000001", 2.000000001),
        (b"0.000000001", 1e-9),
    ],
)
def test_seconds_are_decimal(value: bytes, timeout_s: float) -> None:
    assert timeout_of({SECONDS: value}) == timeout_s


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"0", b"0.0", b"00.000", b"-1", b"+1", b"1.", b".5", b"1,5", b"1e3", b"inf", b"nan", b"5s"),
        *(b" 1", b"1 ", b"1, 1", b"0x1", b"1_0", b"1000000", b"1.0000000001", "\u0663".encode(), b"1\n"),
    ],
)
def test_anything_else_is_400(value: bytes) -> None:
    assert refusal({SECONDS: value}) == (
        400,
        "malformed request: X-Request-Timeout is not a number of seconds above 0",
    )


@pytest.mark.parametrize(
    ("value", "timeout_s"),
    [
        (b"2H", 7200.0),
        (b"3M", 180.0),
        (b"4S", 4.0),
        (b"250m", 0.25),
        (b"1u", 1e-6),
        (b"1n", 1e-9),
        (b"99999999S", 99999999.0),
        (b"01S", 1.0),
    ],
)
def test_grpc_has_units(value: bytes, timeout_s: float) -> None:
    assert timeout_of({GRPC: value}) == timeout_s


@pytest.mark.parametrize(
    "value",
    [b"", b"S", b"0S", b"00000000n", b"1", b"1s", b"1h", b"-1S", b"1.5S", b"1 S", b"1S, 1S", b"100000000n"],
)
def test_a_malformed_grpc_timeout_is_400(value: bytes) -> None:
    assert refusal({GRPC: value}) == (
        400,
        "malformed request: grpc-timeout is not a number above 0 with a unit",
    )


def test_of_both_the_shorter_counts() -> None:
    assert timeout_of({SECONDS: b"2", GRPC: b"1S"}) == 1.0
    assert timeout_of({SECONDS: b"2", GRPC: b"3S"}) == 2.0
