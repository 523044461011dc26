"""The id of a call, where it stands in one of the usual places."""

import json

import pytest

from priolb.http.rpc_id import plain_id


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":[]}', b"1"),
        (b'{"jsonrpc":"2.0","id":9007199254740991,"method":"m"}', b"9007199254740991"),
        (b'{"jsonrpc":"2.0","id":1234567890123456,"method":"m"}', b"1234567890123456"),
        (b'{"jsonrpc":"2.0","id":0,"method":"m"}', b"0"),
        (b'{"jsonrpc":"2.0","id":5 ,"method":"m"}', b"5"),
        (b'{"jsonrpc":"2.0","id":6, "method":"m"}', b"6"),
        (b'{"jsonrpc":"2.0","id":7,"params":[],"method":"m"}', b"7"),
        (b'{"jsonrpc":"2.0","id":-1,"method":"m"}', b"-1"),
        (b'{"jsonrpc":"2.0","id":"1","method":"m"}', b'"1"'),
        (b'{"jsonrpc":"2.0","method":"m","id":4}', b"4"),
        (b'{"jsonrpc":"2.0","method":"m","params":[{"id":7}],"id":-12}', b"-12"),
        (b'{"id":"a-1","method":"m"}', b'"a-1"'),
        (b' {\n "method" : "m" , "id" : "" }\n', b'""'),
        (b'{"jsonrpc": "2.0", "method": "m", "id": 0, "params": ' + b"[" * 500 + b"]" * 500 + b"}", b"0"),
    ],
)
def test_a_call_with_a_plain_id(body: bytes, found: bytes) -> None:
    assert plain_id(body) == found
    assert json.loads(body)["id"] == json.loads(found)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b'{"id":1}', b'"method"', b'{"method":"m"}', b'{"method":"m","id":null}'),
        b'[{"id":1,"method":"m"}]',
        b'[{"method":"m"},{"id":1}',
        b'{"method":"m","params":[{"a":1,"id":5}]}',
        b'{"method":"m","params":[{"id":5}]}',
        b'{"method":"m","params":{"a":[1],"id":5}}',
        b'{"method":"m","id":1.5}',
        b'{"method":"m","id":1e3}',
        b'{"method":"m","id":01}',
        b'{"jsonrpc":"2.0","id":01,"method":"m"}',
        b'{"jsonrpc":"2.0","id":12345678901234567,"method":"m"}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"m"}',
        b'{"jsonrpc":"2.0","id":,"method":"m"}',
        b'"method"{"jsonrpc":"2.0","id":',
        b'{"jsonrpc":"2.0","id":',
        b'{"jsonrpc":"2.0","id":1',
        b'{"jsonrpc":"2.0","id":12',
        b'{"jsonrpc":"2.0","id":1,"result":0}',
        b'{"method":"m","id":12345678901234567890}',
        b'{"method":"m","id":"a\\"b"}',
        b'{"method":"m","id":"a\nb"}',
        '{"method":"m","id":"\u00e9"}'.encode(),
        b'{"params":["x"],"id":1,"method":"m"}',
    ],
)
def test_anything_else_is_left_to_be_parsed(body: bytes) -> None:
    assert plain_id(body) == b""
