"""What an intermediary does, section by section of RFC 9110, on the wire."""

from ipaddress import ip_network

import pytest

from priolb.http.forwarding import Forwarding
from support.memory import MemoryTransport
from support.messages import (
    ANSWER,
    BAD_ANSWER,
    CLOSE,
    DATE,
    HOST,
    POST,
    RETRY_AFTER,
    VIA,
    answer_at_client,
    problem,
    timings,
)
from support.rig import MemoryNode, Rig

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def get(fields: bytes = b"", line: bytes = b"GET /a HTTP/1.1") -> bytes:
    return line + b"\r\n" + HOST + fields + b"\r\n"


def at_node(fields: bytes = b"", line: bytes = b"GET /a", via: bytes = VIA) -> bytes:
    return line + b" HTTP/1.1\r\nHost: node-1\r\n" + fields + via + b"\r\n"


def exchanged(rig: Rig, request: bytes, answer: bytes = ANSWER) -> tuple[bytes, bytes]:
    """Return what the node got of a request, and what the client got of the node's answer."""
    node, client = rig.node(), rig.client()
    client.send(request)
    call = node.accept()
    got = call.take()
    call.send(answer)
    rig.run()
    return got, client.take()


# 7.2 Host


def test_7_2_a_node_is_told_its_own_host() -> None:
    with Rig() as rig:
        assert exchanged(rig, get())[0] == at_node()


@pytest.mark.parametrize(
    ("request_", "host"),
    [
        (get(), b"balancer"),
        (get(line=b"GET http://other:81/a HTTP/1.1"), b"other:81"),
        (b"GET /a HTTP/1.1\r\nHost:\r\n\r\n", b"node-1"),
    ],
)
def test_7_2_or_the_one_that_the_client_asked_for(request_: bytes, host: bytes) -> None:
    with Rig(keeps_host=True) as rig:
        assert exchanged(rig, request_)[0] == at_node().replace(b"node-1", host)


# 7.6.1 Connection

HOP_BY_HOP = [
    b"Connection: keep-alive\r\n",
    b"Connection: X-Mine, close-not, Keep-Alive\r\nX-Mine: 1\r\nClose-Not: 2\r\n",
    b"Keep-Alive: timeout=5\r\n",
    b"Proxy-Connection: keep-alive\r\n",
    b"Proxy-Authorization: Basic eDp5\r\n",
    b"TE: gzip\r\n",
    b"Trailer: X-Sum\r\n",
    b"Upgrade: x\r\n",
    b"Connection: host, via\r\n",
    b"Connection: content-type\r\nContent-Type: x/y\r\n",
    b"connection: X-A\r\nCONNECTION: x-b\r\nx-a: 1\r\nX-B: 2\r\nx-A: 3\r\n",
]


@pytest.mark.parametrize("fields", HOP_BY_HOP)
def test_7_6_1_fields_of_the_connection_do_not_reach_the_node(fields: bytes) -> None:
    with Rig() as rig:
        assert exchanged(rig, get(b"X: y\r\n" + fields))[0] == at_node(b"X: y\r\n")


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: X-Mine\r\nX-Mine: 1\r\n",
        b"Connection: date, content-type\r\nDate: never\r\nContent-Type: x/y\r\n",
        b"Keep-Alive: timeout=5\r\n",
        b"Proxy-Connection: close\r\n",
        b"Proxy-Authenticate: Basic\r\n",
        b"Upgrade: h2c\r\n",
        b"TE: trailers\r\n",
        b"X-PrioLB-QueueSizeEnd: 9\r\n",
    ],
)
def test_7_6_1_fields_of_the_connection_do_not_reach_the_client(fields: bytes) -> None:
    """Nor do fields that claim to be ours."""
    answer = b"HTTP/1.1 200 OK\r\nX: y\r\n" + fields + b"Content-Length: 0\r\n\r\n"
    with Rig() as rig:
        received = exchanged(rig, get(), answer)[1]
        assert received == b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n" + timings() + b"\r\n"


def test_15_5_22_a_client_learns_what_it_has_to_upgrade_to() -> None:
    with Rig(max_tries=1) as rig:
        fields = b"Upgrade: x/2\r\nConnection: upgrade\r\nContent-Length: 0\r\n"
        answer = b"HTTP/1.1 426 Upgrade Required\r\n" + fields + b"\r\n"
        received = exchanged(rig, get(), answer)[1]
        assert received.startswith(
            b"HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: x/2\r\n"
        )


# 7.6.2 Max-Forwards


@pytest.mark.parametrize("method", [b"TRACE", b"OPTIONS"])
def test_7_6_2_a_limit_of_forwards_is_counted_down(method: bytes) -> None:
    with Rig() as rig:
        request = get(b"Max-Forwards: 2\r\n", method + b" /a HTTP/1.1")
        assert exchanged(rig, request)[0] == at_node(b"Max-Forwards: 1\r\n", method + b" /a")


def test_7_6_2_it_means_nothing_for_other_methods() -> None:
    with Rig() as rig:
        assert exchanged(rig, get(b"Max-Forwards: 0\r\n"))[0] == at_node(b"Max-Forwards: 0\r\n")


def test_7_6_2_trace_without_forwards_is_answered_here_with_what_has_come_but_no_secret() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        secrets = b"authorization: Basic eDp5\r\nCookie: a=b\r\n"
        trace = get(b"Max-Forwards: 0\r\nX: y\r\nVia: 1.1 front\r\n" + secrets, b"TRACE /a?b HTTP/1.1")
        client.send(trace + POST)
        body = b"TRACE /a?b HTTP/1.1\r\nHost: balancer\r\nVia: 1.1 front\r\nX: y\r\nMax-Forwards: 0\r\n\r\n"
        assert client.take() == (
            b"HTTP/1.1 200 OK\r\nContent-Type: message/http\r\nContent-Length: %d\r\n%s\r\n%s"
            % (len(body), DATE, body)
        )
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_7_6_2_options_without_forwards_is_answered_here() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(get(b"Max-Forwards: 0\r\n", b"OPTIONS * HTTP/1.1"))
        assert client.take() == (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n"
            b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE\r\n" + DATE + b"\r\n"
        )
        assert node.is_quiet()


def test_7_6_2_a_body_without_forwards_goes_nowhere() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(get(b"Max-Forwards: 0\r\nContent-Length: 2\r\n", b"OPTIONS /a HTTP/1.1") + b"ab")
        assert client.take() == problem(
            b"400 Bad Request", "bad request: a body that goes nowhere, as Max-Forwards is 0", CLOSE
        )


# 7.6.3 Via

VIAS = [
    (b"GET /a HTTP/1.1", b"", b"1.1 lb"),
    (b"GET /a HTTP/1.0", b"", b"1.0 lb"),
    (
        b"GET /a HTTP/1.1",
        b"Via: 1.0 fred, 1.1 p.example (Apache/1.1)\r\n",
        b"1.0 fred, 1.1 p.example (Apache/1.1), 1.1 lb",
    ),
    (b"GET /a HTTP/1.1", b"Via: 1.1 a\r\nX: y\r\nvia: 1.1 b\r\n", b"1.1 a, 1.1 b, 1.1 lb"),
    (b"GET /a HTTP/1.1", b"Via: 1.1 lb2, HTTP/1.1 lb.example\r\n", b"1.1 lb2, HTTP/1.1 lb.example, 1.1 lb"),
]


@pytest.mark.parametrize(("line", "fields", "via"), VIAS)
def test_7_6_3_a_node_sees_which_way_a_request_has_come(line: bytes, fields: bytes, via: bytes) -> None:
    with Rig() as rig:
        got = exchanged(rig, get(fields, line))[0]
        assert b"\r\nVia: " + via + b"\r\n" in got
        assert got.count(b"Via: ") == 1


@pytest.mark.parametrize(
    "via",
    [b"1.1 lb", b"1.1 front, 1.0 lb", b"1.1 lb, 1.1 other", b"1.1 lb (priolb)", b"HTTP/1.1\tlb", b"1.1  lb"],
)
def test_7_6_3_a_request_that_comes_round_again_is_a_loop(via: bytes) -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(get(b"Via: " + via + b"\r\n"))
        assert client.take() == problem(b"508 Loop Detected", "loop detected", CLOSE)
        assert node.is_quiet()


def test_7_6_3_a_client_sees_which_way_an_answer_has_come() -> None:
    answer = b"HTTP/1.0 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 2\r\n\r\n[]"
    with Rig() as rig:
        received = exchanged(rig, POST, answer)[1]
        assert received.startswith(b"HTTP/1.1 200 OK\r\nVia: 1.1 inner\r\n")
        assert received.endswith(b"Via: 1.0 lb\r\n" + DATE + b"\r\n[]")


# 6.6.1 Date


def test_6_6_1_an_answer_tells_its_time_if_not_by_the_nodes_clock_then_by_ours() -> None:
    with Rig() as rig:
        dated = b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
        answer = b"HTTP/1.1 200 OK\r\n" + dated + b"Content-Length: 0\r\n\r\n"
        received = exchanged(rig, get(), answer)[1]
        assert dated in received and received.count(b"Date: ") == 1
        node, client = rig.nodes["node-1"], rig.client()
        client.send(get())
        node.connections[-1].send(ANSWER)
        assert DATE in client.take()


# 7.8 Upgrade

SWITCH = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nX: y\r\n\r\n"
SWITCHED_AT_CLIENT = (
    b"HTTP/1.1 101 Switching Protocols\r\nX: y\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n"
    + timings()
    + b"\r\n"
)


def switched(rig: Rig) -> tuple[MemoryNode, MemoryTransport, MemoryTransport]:
    """Return a node, and both ends of a connection that has switched protocols."""
    node, client = rig.node(slots=1), rig.client()
    client.send(get(SWITCH))
    call = node.accept()
    assert call.take() == at_node(b"Connection: upgrade\r\nUpgrade: websocket\r\n")
    call.send(SWITCHED)
    assert client.take() == SWITCHED_AT_CLIENT
    return node, client, call


def test_7_8_both_sides_speak_freely_and_hold_one_slot_until_one_ends_it() -> None:
    with Rig() as rig:
        node, client, call = switched(rig)
        client.send(b"\x81\x00")
        assert call.take() == b"\x81\x00"
        call.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.take() == b"GET / HTTP/1.1\r\n\r\n"
        waiting = rig.client()
        waiting.send(POST)
        assert rig.counts() == (1, 1, 2)
        call.end()
        rig.run()
        assert client.is_ended and client.take() == b""
        node.accept().send(ANSWER)
        assert waiting.take().endswith(b"\r\n\r\n[]")
        assert ("completed", b"", 101, "http://node-1", 1) in rig.notes.take()


def test_7_8_bytes_in_one_read_with_either_head_are_not_lost() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(get(SWITCH) + b"early client")
        call = node.accept()
        call.take()
        call.send(SWITCHED + b"early node")
        assert client.take() == SWITCHED_AT_CLIENT + b"early node"
        assert call.take() == b"early client"
        client.end()


def test_7_8_a_node_that_declines_answers_as_always() -> None:
    with Rig() as rig:
        got, received = exchanged(rig, get(SWITCH))
        assert got == at_node(b"Connection: upgrade\r\nUpgrade: websocket\r\n")
        assert received == answer_at_client(is_json=False)
        assert rig.engine.upgrades == 0


@pytest.mark.parametrize("protocol", [b"h2c", b"other", b"websocket, other", b""])
def test_7_8_a_node_that_switches_to_what_nobody_offered_is_502(protocol: bytes) -> None:
    with Rig(max_tries=1) as rig:
        answer = b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
        assert exchanged(rig, get(SWITCH), answer)[1] == BAD_ANSWER


def test_7_8_the_end_of_the_client_ends_it_once_the_node_has_read_all() -> None:
    with Rig() as rig:
        _, client, call = switched(rig)
        call.stop_reading()
        client.send(b"last words")
        client.end()
        assert rig.counts() == (0, 0, 0)
        assert rig.notes.take("completed", "client_left") == [("completed", b"", 101, "http://node-1", 1)]
        call.read()
        rig.run()
        assert call.take() == b"last words" and call.is_lost


def test_7_8_a_reset_of_the_node_is_a_reset_at_the_client() -> None:
    with Rig() as rig:
        _, client, call = switched(rig)
        call.break_off()
        rig.run()
        assert client.was_reset


@pytest.mark.parametrize("speaks", ["client", "node", "nobody"])
def test_7_8_silence_in_both_directions_ends_it_after_its_time(speaks: str) -> None:
    with Rig() as rig:
        _, client, call = switched(rig)
        for _ in range(3):
            rig.advance(500)
            if speaks == "client":
                client.send(b"x")
            elif speaks == "node":
                call.send(b"x")
        assert client.is_lost is (speaks == "nobody")
        rig.advance(601)
        assert client.is_ended and call.is_lost


def test_7_8_so_many_may_be_upgraded_at_a_time() -> None:
    """The limit counts those that wait for a node as well; whoever asks for no upgrade is not concerned."""
    with Rig(upgrades_max=1) as rig:
        _, _, call = switched(rig)
        second = rig.client()
        second.send(get(SWITCH))
        refusal = problem(b"503 Service Unavailable", "too many upgraded connections", RETRY_AFTER + CLOSE)
        assert second.take() == refusal
        call.end()
        rig.run()
        third = rig.client()
        third.send(get(SWITCH))
        assert rig.engine.upgrades == 1
        third.end()
        assert rig.engine.upgrades == 0


# 9.2.2 Idempotent methods


@pytest.mark.parametrize(
    ("method", "is_retried"),
    [(b"GET", True), (b"PUT", True), (b"POST", True), (b"TRACE", True), (b"PATCH", False), (b"BREW", False)],
)
def test_9_2_2_what_a_node_may_have_seen_is_sent_again_only_if_that_is_safe(
    method: bytes, is_retried: bool
) -> None:
    """POST is, for JSON-RPC travels in it."""
    with Rig() as rig:
        first, second, client = rig.node(), rig.node(), rig.client()
        client.send(get(line=method + b" /a HTTP/1.1"))
        first.accept().break_off()
        assert second.is_quiet() is not is_retried
        if is_retried:
            second.accept().send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK" if is_retried else b"HTTP/1.1 502 Bad Gateway")


# 10.1.1 Expect


def expecting(fields: bytes = b"Content-Length: 2\r\n") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n" + fields + b"\r\n"


def test_10_1_1_a_client_is_told_to_go_on_and_the_node_is_not_asked() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(expecting())
        assert client.take() == CONTINUE
        client.send(b"{}")
        call = node.accept()
        assert b"Expect" not in call.take()
        call.send(ANSWER)
        assert client.take() == answer_at_client()


def test_10_1_1_a_client_that_did_not_wait_is_told_nothing() -> None:
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(expecting() + b"{}")
        node.accept().send(ANSWER)
        assert client.take() == answer_at_client()


def test_10_1_1_a_body_that_would_be_refused_is_not_asked_for() -> None:
    with Rig() as rig:
        client = rig.client()
        client.send(expecting())
        assert client.take() == problem(b"503 Service Unavailable", "no nodes available", RETRY_AFTER + CLOSE)
    with Rig(max_body_bytes=1) as rig:
        client = rig.client()
        client.send(expecting())
        assert client.take() == problem(b"413 Content Too Large", "Payload too large", CLOSE)
    with Rig(lane_limits=(0, 0, 1)) as rig:
        node = rig.node(slots=1)
        for _ in range(2):
            rig.client().send(POST)
        client = rig.client()
        client.send(expecting())
        assert client.take() == problem(b"503 Service Unavailable", "queue full", RETRY_AFTER + CLOSE)
        assert not node.is_quiet(), "the first of them is there"
        for each in rig.clients:
            each.break_off()


@pytest.mark.parametrize(("held_bytes", "is_wanted"), [(98, True), (99, False)])
def test_10_1_1_a_body_that_there_is_no_room_for_is_not_asked_for(held_bytes: int, is_wanted: bool) -> None:
    with Rig(body_budget_bytes=100) as rig:
        node, other, client = rig.node(), rig.client(), rig.client()
        other.send(POST.replace(b": 2", b": 100").replace(b"{}", b"x" * held_bytes))
        client.send(expecting())
        assert client.take() == (
            CONTINUE
            if is_wanted
            else problem(
                b"503 Service Unavailable",
                "queue full: no room for the body of the request",
                RETRY_AFTER + CLOSE,
            )
        )
        assert node.is_quiet()
        other.break_off()


def test_10_1_1_of_a_body_that_passes_through_no_more_is_read_than_is_held_until_a_node_takes_it() -> None:
    """So a request that waits for a slot, and is refused after all, has cost little upload."""
    with Rig(replay_max_bytes=1) as rig:
        node, first, client = rig.node(slots=1), rig.client(), rig.client()
        first.send(get())
        call = node.accept()
        client.send(expecting(b"Content-Length: 4\r\n"))
        assert client.take() == CONTINUE and client.is_reading()
        client.send(b"ab")
        assert client.take() == b"" and not client.is_reading()
        call.send(ANSWER)
        upload = node.accept()
        assert client.is_reading()
        client.send(b"cd")
        assert upload.take().endswith(b"Content-Length: 4\r\n\r\nabcd")
        upload.send(ANSWER)
        assert client.take().startswith(b"HTTP/1.1 200 OK\r\n")


# RFC 7239 and what stands for it

ANYBODY = Forwarding("lb", "http", tells_client=True, trusted=())
FRIENDS = Forwarding("lb", "https", tells_client=True, trusted=[ip_network("192.0.2.0/24")])
CLAIMS = (
    b"Forwarded: for=9.9.9.9\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: wss\r\n"
    b"X-Forwarded-Host: first\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 9.9.9.9\r\n"
)


def test_7239_a_node_is_told_who_asks_and_what_he_claims_is_dropped() -> None:
    with Rig(forwarding=ANYBODY) as rig:
        got = exchanged(rig, get(CLAIMS + b"X: y\r\n"))[0]
        assert got == at_node(
            b"X: y\r\n" + VIA + b'Forwarded: for=192.0.2.1;proto=http;host="balancer"\r\n'
            b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: balancer\r\n",
            via=b"",
        )


@pytest.mark.parametrize("forwarding", [ANYBODY, FRIENDS])
@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"x-forwarded_proto", b"X_Forwarded-Host", b"X-Real_IP", b"x_forwarded_port"]
)
def test_7239_nor_does_he_get_through_with_a_name_that_a_node_reads_as_the_same(
    name: bytes, forwarding: Forwarding
) -> None:
    """Those that hand fields on as CGI does, WSGI among them, do not tell the two kinds of dashes apart."""
    with Rig(forwarding=forwarding) as rig:
        got = exchanged(rig, get(name + b": 9.9.9.9\r\n"))[0]
        assert name.lower() not in got.lower() and b"9.9.9.9" not in got


@pytest.mark.parametrize("name", [b"Content_Length", b"transfer_encoding"])
def test_8_6_a_name_that_a_node_reads_as_one_of_framing_does_not_get_through(name: bytes) -> None:
    with Rig() as rig:
        assert name.lower() not in exchanged(rig, get(name + b": 9\r\n"))[0].lower()


def test_7239_a_proxy_that_is_trusted_is_believed_and_put_behind_those_before_it() -> None:
    with Rig(forwarding=FRIENDS) as rig:
        got = exchanged(rig, get(CLAIMS))[0]
        assert got == at_node(
            VIA + b"x-real-ip: 9.9.9.9\r\nx-forwarded-port: 443\r\n"
            b'Forwarded: for=9.9.9.9, for=192.0.2.1;proto=https;host="balancer"\r\n'
            b"X-Forwarded-For: 9.9.9.9, 192.0.2.1\r\nX-Forwarded-Proto: wss\r\nX-Forwarded-Host: first\r\n",
            via=b"",
        )


def test_7239_a_node_is_told_nothing_when_that_is_not_wished() -> None:
    with Rig() as rig:
        assert exchanged(rig, get(CLAIMS))[0] == at_node()


# RFC 9209


def test_9209_an_error_of_ours_names_itself_and_one_of_the_node_does_not() -> None:
    with Rig(max_tries=1) as rig:
        failure = b"HTTP/1.1 500 X\r\nProxy-Status: inner; error=dns_error\r\nContent-Length: 0\r\n\r\n"
        received = exchanged(rig, get(), failure)[1]
        assert received.startswith(b"HTTP/1.1 500 X\r\nProxy-Status: inner; error=dns_error\r\n")
        assert received.count(b"Proxy-Status") == 1
        client = rig.client()
        client.send(get(b"Content-Length: x\r\n"))
        assert b"\r\nProxy-Status: lb; error=http_request_error\r\n" in client.take()
