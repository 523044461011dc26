"""What a health check asks, and which answers pass."""

import json

import pytest

from priolb.core.nodes.health_check import MAX_BODY_BYTES, HealthCheck


def rpc(result: str) -> bytes:
    return b'{"jsonrpc":"2.0","id":123,"result":%b}' % result.encode()


def test_by_default_it_asks_for_the_net_version_as_the_original_does() -> None:
    check = HealthCheck()
    assert (check.method, check.path, check.query, check.needs_body) == (b"POST", b"", b"", False)
    assert json.loads(check.body) == {"jsonrpc": "2.0", "method": "net_version", "params": [], "id": 123}
    assert check.fields == (
        b"Accept: application/json\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )


def test_a_path_is_read() -> None:
    check = HealthCheck("/health?full=1")
    assert (check.method, check.path, check.query) == (b"GET", b"/health", b"?full=1")
    assert (check.body, check.fields) == (b"", b"Accept: */*\r\nConnection: close\r\n")


def test_another_method_is_called() -> None:
    assert b'"method":"eth_syncing"' in HealthCheck("eth_syncing").body


@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test_by_default_any_status_below_400_passes_whatever_the_body(status: int) -> None:
    assert HealthCheck().failure(status, b"nonsense") is None


@pytest.mark.parametrize(
    ("check", "status", "failure"),
    [
        (HealthCheck(), 400, "it was answered with status 400"),
        (HealthCheck(), 503, "it was answered with status 503"),
        (HealthCheck("/up", status=200), 503, "it was answered with status 503 instead of 200"),
        (HealthCheck("/up", status=200), 204, "it was answered with status 204 instead of 200"),
        (HealthCheck("/up", status=503), 200, "it was answered with status 200 instead of 503"),
        (HealthCheck("/up", status=503), 503, None),
    ],
)
def test_the_status_is_the_expected_one(check: HealthCheck, status: int, failure: str | None) -> None:
    assert check.failure(status, b"") == failure


@pytest.mark.parametrize("status", [401, 403, 404, 405, 406, 410, 415, 501])
def test_a_check_that_does_not_fit_the_node_says_so(status: int) -> None:
    assert HealthCheck("/up").failure(status, b"") == (
        f"it was answered with status {status}: HEALTH_CHECK=/up does not fit this node"
    )
    assert HealthCheck("/up", status=200).failure(status, b"") == (
        f"it was answered with status {status} instead of 200: HEALTH_CHECK=/up does not fit this node"
    )


@pytest.mark.parametrize(
    ("expected", "result"),
    [
        ("false", "false"),
        ('"1"', '"1"'),
        ("null", "null"),
        ("[1,2]", "[1, 2]"),
        ('[{"a":1},[]]', '[{"a":1,"b":2},[]]'),
        ("1", "1.0"),
        ("{}", '{"a":1}'),
        ('{"a":1}', '{"a":1,"b":2}'),
        ('{"a":{"b":[1]}}', '{"a":{"b":[1],"c":3},"d":4}'),
    ],
)
def test_a_result_that_is_expected_passes(expected: str, result: str) -> None:
    """An object may have more members than are expected."""
    assert HealthCheck("eth_syncing", result=expected).failure(200, rpc(result)) is None
    assert HealthCheck("/up", result=expected).failure(200, result.encode()) is None


@pytest.mark.parametrize(
    ("expected", "result"),
    [
        ("false", "true"),
        ("false", "0"),
        ("true", "1"),
        ("1", "true"),
        ("0", "false"),
        ('"1"', "1"),
        ("null", "false"),
        ("[1]", "[1, 2]"),
        ("[true]", "[1]"),
        ("[[0]]", "[[false]]"),
        ('{"a": 1}', '{"b": 1}'),
        ('{"a": 1}', '{"a": 2}'),
        ('{"a": 1}', "[]"),
        ('{"a": {"b": 1}}', '{"a": {}}'),
    ],
)
def test_another_result_is_told_beside_the_expected_one(expected: str, result: str) -> None:
    words = f"it was answered with {json.dumps(json.loads(result))} instead of {expected}"
    assert HealthCheck("eth_syncing", result=expected).failure(200, rpc(result)) == words
    assert HealthCheck("/up", result=expected).failure(200, result.encode()) == words


@pytest.mark.parametrize(
    ("ask", "body", "failure"),
    [
        ("/up", b"OK", "the answer is no JSON, so that HEALTH_CHECK_RESULT never fits it"),
        ("/up", b"[" * 60_000, "the answer is no JSON, so that HEALTH_CHECK_RESULT never fits it"),
        ("eth_x", b"", "the answer is no JSON, so that HEALTH_CHECK_RESULT never fits it"),
        ("eth_x", b"[]", "the answer is no JSON-RPC, so that HEALTH_CHECK_RESULT never fits it"),
        ("eth_x", b'{"a":1}', "the answer is no JSON-RPC, so that HEALTH_CHECK_RESULT never fits it"),
        (
            "eth_x",
            b'{"error":{"code":-32601,"message":"no such method"}}',
            (
                'it was answered with the error {"code": -32601, "message": "no such method"}: '
                "HEALTH_CHECK=eth_x does not fit this node"
            ),
        ),
        (
            "eth_x",
            b'{"error":{"code":-32000,"message":"not now"}}',
            'it was answered with the error {"code": -32000, "message": "not now"}',
        ),
        (
            "/up",
            b"1" * (MAX_BODY_BYTES + 1),
            "the answer is larger than 65536 bytes, which HEALTH_CHECK_RESULT never is",
        ),
    ],
)
def test_an_answer_that_can_never_fit_says_why(ask: str, body: bytes, failure: str) -> None:
    assert HealthCheck(ask, result="true").failure(200, body) == failure


def test_an_answer_of_any_depth_gets_a_verdict() -> None:
    """Some depths can be read and not be written again, which ones hangs on Python and on who calls."""
    check = HealthCheck("/up", result="1")
    for depth in range(1, 3000):
        failure = check.failure(200, b"[" * depth + b"]" * depth)
        assert failure is not None
        assert failure.startswith(
            ("the answer is no JSON, ", "it was answered with [[", "it was answered with []")
        )


def test_a_long_result_is_not_told_whole() -> None:
    failure = HealthCheck("/up", result="true").failure(200, b'"%b"' % (b"x" * 1000))
    assert failure == f'it was answered with "{"x" * 79}... instead of true'
