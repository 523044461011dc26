"""What the mock node answers to JSON-RPC."""

import pytest

from priolb.testing.rpc import Calls


def result(call_id: str, value: str) -> str:
    return f'{{"jsonrpc":"2.0","id":{call_id},"result":"{value}"}}'


def error(call_id: str, message: str) -> str:
    return f'{{"jsonrpc":"2.0","id":{call_id},"error":{{"code":-32603,"message":"{message}"}}}}'


NOT_PARSED = "failed to parse JSON RPC request"
NOT_A_CALL = error("-1", f"{NOT_PARSED}: not an object with a method")
NO_NAME = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"jsonrpc":"2.0","method":"net_version","id":123}', result("123", "1")),
        (b'{"method":"eth_callBundle","params":[],"id":"x"}', result('"x"', "cool")),
        (b'{"method":"eth_chainId","id":1.5}', result("1.5", "0x1")),
        (b'{"method":"eth_chainId"}', result("null", "0x1")),
        (b'{"method":"eth_chainId","id":{"a":1}}', result("null", "0x1")),
        (b'{"method":"eth_chainId","id":true}', result("null", "0x1")),
        (b'{"method":"eth_x","id":7}', error("7", "no RPC method handler implemented for eth_x")),
        (b'{"id":7}', error("7", "no RPC method handler implemented for ")),
        (b'{"method":1,"id":7}', NOT_A_CALL),
        (b'"net_version"', NOT_A_CALL),
        (b"null", NOT_A_CALL),
        (b"{", error("-1", f"{NOT_PARSED}: {NO_NAME}")),
        (b"[" * 1_000_000, error("-1", f"{NOT_PARSED}: nested too deep")),
        (b"[]", "[]"),
        (
            b'[{"method":"net_version","id":1},2,{"method":"eth_callBundle","id":3}]',
            f"[{result('1', '1')},{NOT_A_CALL},{result('3', 'cool')}]",
        ),
    ],
)
def test_every_body_has_an_answer_of_status_200(body: bytes, answer: str) -> None:
    """As in the mock node of the original, what is no call is answered under the id -1."""
    response = Calls(body).answer(b"Test: x\r\n")
    assert (response.status, response.body) == (200, answer.encode() + b"\n")
    assert (response.content_type, response.fields) == (b"application/json", b"Test: x\r\n")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"method":"eth_callBundle","id":7}', error("7", "mock error")),
        (b"", error("-1", "mock error")),
        (
            b'[{"method":"x","id":1},{"method":"x"}]',
            f"[{error('1', 'mock error')},{error('null', 'mock error')}]",
        ),
    ],
)
def test_a_failure_has_status_500_and_the_id_of_the_call(body: bytes, answer: str) -> None:
    response = Calls(body).fail(b"Test: x\r\n")
    assert (response.status, response.body) == (500, answer.encode() + b"\n")
    assert (response.content_type, response.fields) == (b"application/json", b"Test: x\r\n")


@pytest.mark.parametrize(
    ("body", "is_health_check"),
    [
        (b'{"method":"net_version"}', True),
        (b'{"method":"eth_chainId"}', False),
        (b'[{"method":"net_version"}]', False),
        (b'"net_version"', False),
        (b"", False),
    ],
)
def test_one_call_of_net_version_is_a_health_check(body: bytes, is_health_check: bool) -> None:
    assert Calls(body).is_health_check is is_health_check
