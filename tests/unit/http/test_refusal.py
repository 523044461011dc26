"""Our own answers: JSON-RPC errors under the request's own id, problem documents, and the original's text."""

import json

import pytest

from priolb.core.overload.retry_advice import OVERLOADED
from priolb.errors import Reason
from priolb.http.call_error import CallError
from priolb.http.messages import LocalResponse
from priolb.http.refusal import RETRY_AFTER, Refusals, looks_like_rpc
from priolb.http.writer import local_response
from support.messages import DATE

LARGE = 65536

OURS = Refusals("lb", legacy=False)
LEGACY = Refusals("lb", legacy=True)

TOLD = b'RateLimit: "api";r=0;t=2\r\n'

PROBLEM = object()
"""Stands for: answered with a problem document."""


def rpc_id(body: bytes) -> object:
    """Return the id under which `body` is refused, or PROBLEM."""
    response = OURS.answer(Reason.DEADLINE, body)
    if response.content_type == b"application/problem+json":
        return PROBLEM
    answer = strictly(response.body)
    assert isinstance(answer, dict)
    assert set(answer) == {"jsonrpc", "id", "error"}
    return answer["id"]


def strictly(body: bytes) -> object:
    """Read JSON as others do: without Infinity and NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(body, parse_constant=refuse)


def large(start: str, end: str) -> bytes:
    """A body of more than 64 KB with a long parameter between these."""
    return f'{start}"params":["0x{"ab" * (LARGE // 2)}"]{end}'.encode()


# Statuses, codes and words


@pytest.mark.parametrize(
    ("reason", "status", "code", "words", "legacy_status", "proxy_error", "fields"),
    [
        (Reason.BAD_REQUEST, 400, -32600, "bad request", 400, "http_request_error", b""),
        (Reason.PAYLOAD_TOO_LARGE, 413, -32005, "Payload too large", 400, "http_request_error", b""),
        (
            Reason.TOO_MANY_CONNECTIONS,
            429,
            -32005,
            "too many connections",
            500,
            "http_request_denied",
            RETRY_AFTER,
        ),
        (Reason.LOOP, 508, -32603, "loop detected", 500, "proxy_loop_detected", b""),
        (Reason.QUEUE_FULL, 503, -32005, "queue full", 500, "connection_limit_reached", RETRY_AFTER),
        (
            Reason.UPGRADES_FULL,
            503,
            -32005,
            "too many upgraded connections",
            500,
            "connection_limit_reached",
            RETRY_AFTER,
        ),
        (Reason.NO_NODES, 503, -32002, "no nodes available", 500, "destination_unavailable", RETRY_AFTER),
        (
            Reason.DEADLINE,
            504,
            -32002,
            "request timeout hit before processing",
            500,
            "connection_limit_reached",
            b"",
        ),
        (Reason.NODE_TIMEOUT, 504, -32002, "node timeout", 500, "http_response_timeout", b""),
        (Reason.NODE_UNREACHABLE, 502, -32603, "node unreachable", 500, "destination_unavailable", b""),
        (Reason.NODE_BAD_ANSWER, 502, -32603, "bad answer from node", 500, "http_protocol_error", b""),
        (Reason.NODE_UNATTESTED, 502, -32603, "node not attested", 500, "tls_certificate_error", b""),
        (Reason.NO_SOCKET, 503, -32002, "no socket left", 500, "proxy_internal_error", RETRY_AFTER),
        (Reason.SHUTTING_DOWN, 503, -32002, "shutting down", 500, "proxy_internal_response", RETRY_AFTER),
    ],
)
def test_each_reason_has_its_status_code_and_words(
    reason: Reason,
    status: int,
    code: int,
    words: str,
    legacy_status: int,
    proxy_error: str,
    fields: bytes,
) -> None:
    fields += f"Proxy-Status: lb; error={proxy_error}\r\n".encode()
    rpc = OURS.answer(reason, b'{"method":"a","id":1}')
    assert (rpc.status, rpc.content_type, rpc.fields) == (status, b"application/json", fields)
    assert rpc.body == (
        b'{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":"%s"}}\n' % (code, words.encode())
    )
    problem = OURS.answer(reason, b"text")
    assert (problem.status, problem.content_type, problem.fields) == (
        status,
        b"application/problem+json",
        fields,
    )
    assert strictly(problem.body) == {
        "type": "about:blank",
        "title": words,
        "status": status,
        "detail": words,
    }
    for body in (b'{"method":"a","id":1}', b"text", b""):
        legacy = LEGACY.answer(reason, body)
        assert (legacy.status, legacy.body, legacy.fields) == (legacy_status, words.encode() + b"\n", b"")
        assert legacy.content_type == b"text/plain; charset=utf-8"


def test_every_reason_has_an_answer() -> None:
    assert all(isinstance(OURS.answer(reason, b""), LocalResponse) for reason in Reason)


def test_a_detail_stands_behind_the_words_and_a_status_of_its_own_counts() -> None:
    problem = OURS.answer(Reason.BAD_REQUEST, b"", detail="the head is too large", status=431)
    assert problem.status == 431
    assert strictly(problem.body) == {
        "type": "about:blank",
        "title": "bad request",
        "status": 431,
        "detail": "bad request: the head is too large",
    }
    rpc = OURS.answer(Reason.BAD_REQUEST, b'{"method":"a","id":1}', detail='a "b"', status=431)
    assert (rpc.status, strictly(rpc.body)) == (
        431,
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": 'bad request: a "b"'}},
    )
    legacy = LEGACY.answer(Reason.BAD_REQUEST, b"", detail="the head is too large", status=431)
    assert (legacy.status, legacy.body) == (400, b"bad request: the head is too large\n")


# The id of the request


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1", 1),
        ("0", 0),
        ("-7", -7),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1.5", 1.5),
        ("2.0", 2.0),
        ("1e3", 1000.0),
        ('"a"', "a"),
        ('""', ""),
        ('"1"', "1"),
        ('"\\u00e9\\"\\\\\\n"', 'é"\\\n'),
        ('"é"', "é"),
        ('"\\ud83d\\ude00"', "😀"),
        ("null", None),
        ("true", None),
        ("false", None),
        ("[1]", None),
        ('{"id":1}', None),
        # What no JSON can say back
        ("1e999", None),
        ("-1e999", None),
        ("NaN", None),
        ("Infinity", None),
    ],
)
def test_the_answer_carries_the_id_of_the_request(written: str, read: object) -> None:
    found = rpc_id(f'{{"jsonrpc":"2.0","method":"a","id":{written}}}'.encode())
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        (b'{"id":1,"method":"a"}', 1),
        (b' \r\n\t{"id":1,"method":"a"} \n', 1),
        (b'{"method":"a","params":[{"id":5}],"id":1}', 1),
        (b'{"method":"a","params":[{"id":5}]}', None),
        (b'{"method":"a","params":["\\"id\\":5"]}', None),
        (b'{"method":"a"}', None),
        (b'{"method":7,"id":1}', 1),
        (b'{"method":"a","id":1,"id":2}', 2),
    ],
)
def test_only_the_id_of_the_request_itself_counts(body: bytes, request_id: object) -> None:
    assert rpc_id(body) == request_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"text",
        b'"text"',
        b"17",
        b"null",
        b"{}",
        b"[]",
        b'{"id":1}',
        b'{"id":1,"result":2}',
        b"[1,2]",
        b'[{"id":1}]',
        b'[["method"]]',
        b"{",
        b"[",
        b'{"method":"a","id":1',
        b'{"method":"a","id":1}}',
        b'{"method":"\xff","id":1}',
        b"\xef\xbb\xbf" + b'{"method":"a","id":1}',
        b'{"method":"a","id":' + b"9" * 5000 + b"}",
        b"[" * 60000,
        b'{"a":' * 10000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_json_rpc_gets_a_problem_document(body: bytes) -> None:
    """Malformed, too deep, not a request: the answer must still be one that its reader can parse."""
    assert rpc_id(body) is PROBLEM


def test_a_call_that_is_too_deep_for_python_gets_a_problem_document() -> None:
    """Python 3.14 takes what is too deep for those before."""
    body = b'{"method":"a","params":' + b"[" * 30000 + b"]" * 30000 + b',"id":1}'
    try:
        expected = json.loads(body)["id"]
    except RecursionError:
        expected = PROBLEM
    assert rpc_id(body) is expected


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'[{"method":"a","id":1}]', [1]),
        (b'[{"method":"a","id":1},{"method":"b","id":"x"},{"method":"c","id":null}]', [1, "x", None]),
        (b'[{"method":"a","id":1},{"method":"b"}]', [1]),
        (b'[{"method":"a","id":1},{"id":2},3,[4]]', [1]),
        (b'[{"method":"a","id":true},{"method":"b","id":1e999}]', [None, None]),
    ],
)
def test_a_batch_gets_an_error_for_each_call_that_awaits_one(body: bytes, ids: list[object]) -> None:
    response = OURS.answer(Reason.QUEUE_FULL, body)
    assert response.content_type == b"application/json"
    error = {"code": -32005, "message": "queue full"}
    assert strictly(response.body) == [{"jsonrpc": "2.0", "id": each, "error": error} for each in ids]


def test_a_batch_of_notifications_gets_one_error_without_id() -> None:
    response = OURS.answer(Reason.QUEUE_FULL, b'[{"method":"a"},{"method":"b"}]')
    assert strictly(response.body) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32005, "message": "queue full"},
    }


@pytest.mark.parametrize("method", ["method", "m\\u0065thod"])
def test_a_batch_of_more_than_a_hundred_calls_gets_one_error_without_id(method: str) -> None:
    """65 KB of small calls were answered with 210 KB, which took 9 ms."""
    calls = [f'{{"id":{number},"{method}":"a"}}' for number in range(101)]
    error = {"code": -32005, "message": "queue full"}
    largest = strictly(OURS.answer(Reason.QUEUE_FULL, f"[{','.join(calls[:100])}]".encode()).body)
    assert largest == [{"jsonrpc": "2.0", "id": number, "error": error} for number in range(100)]
    larger = strictly(OURS.answer(Reason.QUEUE_FULL, f" [{','.join(calls)}]".encode()).body)
    assert larger == {"jsonrpc": "2.0", "id": None, "error": error}


def test_a_call_may_speak_of_as_many_methods_as_it_likes() -> None:
    params = ",".join(['{"method":"a"}'] * 200)
    assert rpc_id(f'{{"jsonrpc":"2.0","id":7,"method":"a","params":[{params}]}}'.encode()) == 7


# Bodies that are too large to be parsed


@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        # At the start
        (large('{"jsonrpc":"2.0","id":7,"method":"a",', "}"), 7),
        (large('{"jsonrpc":"2.0","method":"a","id":"x-1",', "}"), "x-1"),
        (large('{"id":-7,', "}"), -7),
        (large(' {\n "id" : null ,', "}"), None),
        (large('{"id":"a\\"b",', "}"), 'a"b'),
        # At the end
        (large('{"jsonrpc":"2.0","method":"a",', ',"id":7}'), 7),
        (large('{"method":"a",', ',"id":"x","jsonrpc":"2.0"}'), "x"),
        (large('{"method":"a",', ' ,\n "id" : 7 , "jsonrpc" : "2.0"\n}\n'), 7),
        # Nowhere
        (large('{"jsonrpc":"2.0","method":"a",', "}"), None),
        # Of something else
        (large('{"method":"a","x":{"id":5},', "}"), None),
        (large('{"method":"a",', ',"x":{"a":1,"id":5}}'), None),
        (large('{"method":"a",', ',"x":[{"a":1,"id":5}]}'), None),
        (large('{"method":"a",', ',"x":"\\"id\\":5"}'), None),
        (large('{"method":"a",', ',"not\\"id":5}'), None),
        # No number that an error would be found under
        (large('{"id":1.5,', "}"), None),
        (large('{"id":true,', "}"), None),
        (large('{"id":[1],', "}"), None),
        # A batch: which answers it awaits is not known
        (large('[{"id":7,"method":"a",', "}]"), None),
        (large('[{"method":"a",', ',"id":7}]'), None),
    ],
    ids=lambda value: repr((value[:40], value[-30:])) if isinstance(value, bytes) else repr(value),
)
def test_the_id_of_a_large_body_is_found_at_its_ends(body: bytes, request_id: object) -> None:
    assert len(body) > LARGE
    assert rpc_id(body) == request_id


def test_an_id_in_the_middle_of_a_large_body_is_not_looked_for() -> None:
    assert rpc_id(large('{"method":"a",', ',"id":7,"x":"' + "y" * 2000 + '"}')) is None


@pytest.mark.parametrize("written", ["007", '"\\x"', '"\xff"', '"a\nb"'])
def test_a_large_body_whose_id_is_no_json_gets_a_problem_document(written: str) -> None:
    body = large(f'{{"id":{written},', "}").replace("ÿ".encode(), b"\xff")
    assert rpc_id(body) is PROBLEM


def test_64_kb_are_parsed_and_one_byte_more_is_not() -> None:
    """Of a body that is parsed the id is found wherever it stands, and a broken one is noticed."""
    start, end = b'{"method":"a","x":[', b'],"id":7,"y":{}}'
    parsed = start + b" " * (LARGE - len(start) - len(end)) + end
    assert len(parsed) == LARGE
    assert rpc_id(parsed) == 7
    assert rpc_id(parsed + b" ") is None


# What looks like JSON-RPC


@pytest.mark.parametrize(
    ("body", "looks"),
    [
        (b"{", True),
        (b"[", True),
        (b" \t\r\n{}", True),
        (b" " * 63 + b"{", True),
        (b" " * 64 + b"{", False),
        (b"", False),
        (b"a{", False),
        (b'"{"', False),
        (b"\x0c{", False),
    ],
)
def test_json_rpc_starts_with_an_object_or_a_list(body: bytes, looks: bool) -> None:
    assert looks_like_rpc(body) is looks


# Too much to do

CONNECTION = b"Connection: close\r\n"


def as_call(error: CallError, call_id: bytes) -> bytes:
    return error.answer(call_id, TOLD, DATE, CONNECTION)


def as_any(refusals: Refusals, response: LocalResponse) -> bytes:
    """Return the same by the way that all answers go."""
    refusals.add_fields(response, TOLD)
    return local_response(response, b"POST", 1, keep_alive=False, date=DATE)


@pytest.mark.parametrize("reason", sorted(OVERLOADED, key=str))
@pytest.mark.parametrize("call_id", [b"5", b'"a-1"', b"-1234567890123456"])
def test_calls_that_there_is_no_capacity_for_are_told_what_others_are(reason: Reason, call_id: bytes) -> None:
    body = b'{"jsonrpc":"2.0","id":%b,"method":"m"}' % call_id
    for second in (1, 32, 1):
        error = OURS.overloaded(reason, second)
        assert (error.reason, error.status) == (reason.value, 503)
        assert as_call(error, OURS.call_id(body)) == as_any(
            OURS, OURS.answer(reason, body, retry_after_s=second)
        )


def test_when_to_come_back_is_told_where_it_makes_sense() -> None:
    for reason, fields in (
        (Reason.QUEUE_FULL, b"Retry-After: 7\r\nProxy-Status: lb; error=connection_limit_reached\r\n"),
        (Reason.DEADLINE, b"Proxy-Status: lb; error=connection_limit_reached\r\n"),
    ):
        assert OURS.answer(reason, b"", retry_after_s=7).fields == fields
        assert LEGACY.answer(reason, b"", retry_after_s=7).fields == b""


def test_what_is_no_plain_call_is_not_answered_as_one() -> None:
    assert OURS.call_id(b'{"id":7,"method":"m"}') == b"7"
    for body in (b"", b"no JSON", b'[{"id":7,"method":"m"}]', b'{"id":1.5,"method":"m"}'):
        assert OURS.call_id(body) == b""
    assert LEGACY.call_id(b'{"id":7,"method":"m"}') == b"", "nor is any in the form of the original"


# Limits of the sender


def over_limit(refusals: Refusals, body: bytes, wait_s: int = 2, fields: bytes = TOLD) -> LocalResponse:
    return refusals.answer_over_limit(refusals.over_limit("api", wait_s, fields), "api", body)


def test_json_rpc_over_a_limit_gets_an_error_with_its_id() -> None:
    response = over_limit(OURS, b'{"id":7,"method":"eth_call"}')
    assert (response.status, response.content_type) == (429, b"application/json")
    assert json.loads(response.body) == {
        "jsonrpc": "2.0",
        "id": 7,
        "error": {"code": -32005, "message": "rate limit exceeded: api, try again in 2 s"},
    }
    assert response.fields == (
        b"Retry-After: 2\r\n" + TOLD + b"Proxy-Status: lb; error=http_request_denied\r\n"
    )


def test_calls_over_a_limit_are_told_what_others_are() -> None:
    error = OURS.over_limit("api", 2, b"")
    assert (error.reason, error.status) == ("rate_limited", 429)
    usual = over_limit(OURS, b'{"id":7,"method":"eth_call"}', fields=b"")
    assert as_call(error, b"7") == as_any(OURS, usual)


def test_anything_else_over_a_limit_gets_a_problem_document_that_names_the_policy() -> None:
    response = over_limit(OURS, b"")
    assert (response.status, response.content_type) == (429, b"application/problem+json")
    assert json.loads(response.body) == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "rate limit exceeded",
        "status": 429,
        "detail": "rate limit exceeded: api, try again in 2 s",
        "violated-policies": ["api"],
    }


def test_what_never_fits_a_limit_is_not_asked_to_come_back() -> None:
    response = over_limit(OURS, b"", wait_s=0, fields=b"")
    assert response.fields == b"Proxy-Status: lb; error=http_request_denied\r\n"
    detail = json.loads(response.body)["detail"]
    assert detail == "rate limit exceeded: api, a single request may not cost that much"


def test_in_the_form_of_the_original_a_limit_is_429_and_a_line_of_text() -> None:
    response = over_limit(LEGACY, b'{"id":7,"method":"eth_call"}')
    assert (response.status, response.body) == (429, b"rate limit exceeded: api, try again in 2 s\n")
    assert (response.content_type, response.fields) == (b"text/plain; charset=utf-8", b"")


def test_fields_are_added_but_to_the_form_of_the_original() -> None:
    for refusals, fields in (
        (OURS, b"Proxy-Status: lb; error=destination_unavailable\r\n" + TOLD),
        (LEGACY, b""),
    ):
        response = refusals.answer(Reason.NODE_UNREACHABLE, b"")
        refusals.add_fields(response, TOLD)
        assert response.fields == fields
