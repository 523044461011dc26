"""A request whose lane is to be chosen."""

import pytest

from priolb.http.callers import Caller
from priolb.http.request import NO_RULE, Request
from priolb.http.rules import BODY_DECIDES
from support.heads import request_head


@pytest.mark.parametrize(("wanted", "lane"), [(0, 1), (1, 1), (2, 2), (BODY_DECIDES, -1)])
def test_it_gets_the_lane_that_its_caller_may_use(wanted: int, lane: int) -> None:
    request = Request(request_head(), Caller(None, b"", b"", b"", b"", (1, 1, 2)), None)
    assert (request.wanted, request.lane, request.rule) == (-1, -1, NO_RULE)
    request.ask(wanted)
    assert (request.wanted, request.lane) == (wanted, lane)


def test_without_a_body_it_calls_nothing() -> None:
    caller = Caller(None, b"", b"", b"", b"", None)
    assert Request(request_head(), caller, None).rpc() is None
    assert Request(request_head(), caller, b"").rpc() is None


def test_of_a_body_with_a_content_coding_nobody_knows_what_it_calls() -> None:
    caller = Caller(None, b"", b"", b"", b"", None)
    head = request_head("POST / HTTP/1.1", "Content-Encoding: gzip")
    rpc = Request(head, caller, b'{"method":"a"}').rpc()
    assert rpc is not None
    assert (rpc.names, rpc.is_batch, rpc.is_all) == ([], True, False)
    assert Request(head, caller, b"").rpc() is None
