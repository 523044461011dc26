"""Damages messages in the ways that parsers disagree about."""

from random import Random

TOKENS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b":",
    b",",
    b";",
    b"\r\n ",
    b"0\r\n\r\n",
    b"0\r\nX: y\r\n\r\n",
    b"3\r\nabc\r\n",
    b";a=b",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: +2\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Content-Length : 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Host: other\r\n",
    b"Host: a@b\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: host, x, via\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"Max-Forwards: 0\r\n",
    b"Via: 1.1 lb\r\n",
    b"TE: trailers\r\n",
    b"Trailer: X\r\n",
    b"X-Fast-Track: true\r\n",
    b"X-Request-Timeout: 0.5\r\n",
    b"grpc-timeout: 5S\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"HTTP/2.0",
    b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"http://a/b",
    b"*",
    b"/../",
    b"?",
    b"#",
    b"%2e",
]
_NUMBERS = [b"0", b"1", b"2", b"00", b"-1", b"+1", b"0x1", b"16", b"18446744073709551616", b"1e1", b"9" * 21]


def mutated(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    """Return `data` after one to five changes.

    Args:
        data: what to start from.
        chance: decides; the same state gives the same result.
        others: more of the kind, for parts to take over.
    """
    for _ in range(chance.choice([1, 1, 1, 2, 2, 3, 5])):
        data = chance.choice(_CHANGES)(data, chance, others)
    return data


def _part(data: bytes, chance: Random, longest: int = 40) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.randint(0, longest))


def _insert(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(TOKENS) + data[at:]


def _insert_line(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(chance.randint(0, len(lines)), chance.choice(TOKENS).removesuffix(b"\r\n"))
    return b"\r\n".join(lines)


def _insert_bytes(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.randbytes(chance.randint(1, 4)) + data[at:]


def _remove(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    start, end = _part(data, chance)
    return data[:start] + data[end:]


def _remove_line(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    lines = data.split(b"\r\n")
    del lines[chance.randrange(len(lines))]
    return b"\r\n".join(lines)


def _double(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    start, end = _part(data, chance)
    return data[:end] + data[start:end] + data[end:]


def _repeat(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    start, end = _part(data, chance, 4)
    return data[:end] + data[start:end] * chance.choice([2, 60, 300]) + data[end:]


def _flip(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _swap_case(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    start, end = _part(data, chance)
    return data[:start] + data[start:end].swapcase() + data[end:]


def _replace_number(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    digits = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
    if not digits:
        return data
    at = chance.choice(digits)
    return data[:at] + chance.choice(_NUMBERS) + data[at + 1 :]


def _splice(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    other = chance.choice(others)
    start, end = _part(other, chance, 200)
    at, until = _part(data, chance)
    return data[:at] + other[start:end] + data[until:]


def _append(data: bytes, chance: Random, others: list[bytes]) -> bytes:
    return data + chance.choice(others)


_CHANGES = [
    _insert,
    _insert,
    _insert_line,
    _insert_line,
    _insert_bytes,
    _remove,
    _remove_line,
    _double,
    _repeat,
    _flip,
    _swap_case,
    _replace_number,
    _splice,
    _append,
    _append,
    _append,
]
