"""Which methods a body calls: whole, cut off, broken, and made to mislead."""

import pytest

from priolb.http.rpc_methods import LOOKED_AT_BYTES, methods_in

CALL = b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{"to":"0x0"},"latest"]}'


def read(body: bytes) -> tuple[list[bytes], bool, bool] | None:
    found = methods_in(body)
    return None if found is None else (found.names, found.is_batch, found.is_all)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (CALL, [b"eth_call"]),
        (b' \r\n\t{ "method" : "a" } \n', [b"a"]),
        (b'\xef\xbb\xbf{"method":"a"}', [b"a"]),
        (b'{"params":{"method":"b"},"method":"a"}', [b"a"]),
        (b'{"params":"{\\"method\\":\\"b\\"}","method":"a"}', [b"a"]),
        (b'{"method":"a\\u0062\\n"}', [b"ab\n"]),
        (b'{"m\\u0065thod":"a"}', [b"a"]),
        (b'{"method":"a","method":"b"}', [b"a", b"b"]),
        (b'{"method":"a","METHOD":"b"}', [b"a", b"b"]),
        (b'{"method":1,"method":"a"}', [b"a"]),
        (b'{"method":"\xff"}', ["\ufffd".encode()]),
        (b'{"method":"\\ud800"}', [b"?"]),
    ],
)
def test_a_call_names_its_method(body: bytes, names: list[bytes]) -> None:
    assert read(body) == (names, False, True)


@pytest.mark.parametrize(
    ("body", "names", "is_all"),
    [
        (b"[%s]" % CALL, [b"eth_call"], True),
        (b' [ {"method":"a"} , {"method":"b"} ] ', [b"a", b"b"], True),
        (b'[{"method":"a"},{"id":1}]', [b"a"], False),
        (b'[{"method":"a"},{"method":5},{"method":"c"}]', [b"a", b"c"], False),
        (b'[{"method":"a"},"method",[["method","b"]]]', [b"a"], False),
        (b"[]", [], False),
        (b"[1]", [], False),
    ],
)
def test_a_batch_names_the_methods_of_its_calls(body: bytes, names: list[bytes], is_all: bool) -> None:
    assert read(body) == (names, True, is_all)


@pytest.mark.parametrize(
    "body", [b"", b" ", b'"method"', b"method=a", b"5", b"null", b"{}", b'{"id":1}', b'{"method":null}']
)
def test_what_is_no_json_rpc_names_nothing(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"{", []),
        (b'{"method"', []),
        (b'{"method":"a', []),
        (b'{"method":"a"', [b"a"]),
        (b'{"id":1,"method":"a",', [b"a"]),
        (b'{"method":"a","params":["0x00', [b"a"]),
        (b'{"m\\u0065thod":"a","params":[', [b"a"]),
        (b'{"params":[],"method":"a","method":"b","x', [b"a", b"b"]),
        (b'{"params":[{"method":"a"},', []),
        (b'{"method":"a"} {', [b"a"]),
        (b'{"method":"a",5', [b"a"]),
        (b'{"\\x":1,"method":"a"', []),
        (b'{"a":01,"method":"a"}', []),
    ],
)
def test_of_a_call_that_is_cut_off_or_broken_the_rest_counts(body: bytes, names: list[bytes]) -> None:
    assert read(body) == (names, False, False)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"[", []),
        (b'[{"method":"a"', []),
        (b'[{"method":"a"}', [b"a"]),
        (b'[{"method":"a"} , {"method":"b"},{"method":', [b"a", b"b"]),
        (b'[{"method":"a"},5,{"method":"b"},', [b"a"]),
        (b'[{"method":"a"}} {"method":"b"}', [b"a"]),
    ],
)
def test_of_a_batch_that_is_cut_off_or_broken_the_rest_counts(body: bytes, names: list[bytes]) -> None:
    assert read(body) == (names, True, False)


@pytest.mark.parametrize("bracket", [b"[", b'{"a":', b'[{"method":'])
def test_nothing_is_nested_too_deeply(bracket: bytes) -> None:
    found = methods_in(bracket * 20000)
    assert found is not None
    assert (found.names, found.is_all) == ([], False)


def test_no_more_is_looked_at_than_the_beginning() -> None:
    start = b'{"method":"a","x":"'
    room = LOOKED_AT_BYTES - len(start)
    assert read(start + b"x" * (room - 2) + b'"}') == ([b"a"], False, True)
    assert read(start + b"x" * (room - 1) + b'"}') == ([b"a"], False, False)
    assert read(start + b"x" * room + b'","method":"b"}') == ([b"a"], False, False)


def test_a_number_that_is_too_long_for_python_breaks_nothing() -> None:
    assert read(b'{"method":"a","id":%s}' % (b"1" * 5000)) == ([b"a"], False, False)


def test_of_what_is_cut_off_no_more_is_looked_at_than_a_node_would_serve() -> None:
    found = methods_in(b"[" + b'{"method":"a"},' * 1500)
    assert found is not None
    assert len(found.names) == 1000
    found = methods_in(b"{" + b'"method":"a",' * 100)
    assert found is not None
    assert len(found.names) == 64
