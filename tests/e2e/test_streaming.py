"""Large answers and slow readers: what they cost in memory."""

from typing import Final

from support.balancer import Balancer
from support.factories import Connect, Launch, NewNode
from support.scripted_node import Call, always
from support.wire import post, request

MB: Final = 1024 * 1024
BLOCK: Final = bytes(MB)
# Buffers in both directions, what the allocator keeps, and some air.
GROWTH_MAX_BYTES: Final = 24 * MB
READER_BYTES: Final = 4096


def answer_of(megabytes: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (megabytes * MB)


def stream(megabytes: int, call: Call) -> None:
    """Answer with zeroes, made while they are sent."""
    call.send(answer_of(megabytes))
    for _ in range(megabytes):
        call.send(BLOCK)


def warm_up(balancer: Balancer, connect: Connect) -> int:
    """Serve one large answer, so that what is allocated once is there; return the memory in use then."""
    client = connect(balancer)
    client.send(post(b"warm up"))
    _, _, _, lines = client.receive_head()
    client.skip(int(dict(lines)["Content-Length"]))
    return balancer.resident_bytes()


def test_a_large_answer_passes_through_in_bounded_memory(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(lambda call: stream(256 if call.body == b"large" else 16, call))
    balancer = launch("-nodes", node.uri)
    before = warm_up(balancer, connect)
    most = before
    client = connect(balancer)
    client.send(post(b"large"))
    client.receive_head()

    def look(skipped: int) -> None:
        nonlocal most
        if skipped % (8 * MB) < MB:
            most = max(most, balancer.resident_bytes())

    assert client.skip(256 * MB, look) == 256 * MB, "every byte is the zero that was sent"
    assert most - before < GROWTH_MAX_BYTES
    assert client.ask(request("GET", "/healthz"), "GET").status == 200


def test_a_large_chunked_answer_passes_through_in_bounded_memory(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    def chunks(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(64):
            call.send(b"%x\r\n%b\r\n" % (MB, BLOCK))
        call.send(b"0\r\n\r\n")

    balancer = launch("-nodes", new_node(chunks).uri)
    client = connect(balancer)
    assert len(client.ask(post()).body) == 64 * MB
    before = balancer.resident_bytes()
    assert len(client.ask(post()).body) == 64 * MB
    assert balancer.resident_bytes() - before < GROWTH_MAX_BYTES


def test_a_reader_that_stops_stops_the_node(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    """64 MB wait at the node, not in the balancer, and all of them arrive once it reads on."""
    sent = 0

    def count(call: Call) -> None:
        nonlocal sent
        if call.body == b"warm up":
            stream(16, call)
            return
        call.send(answer_of(64))
        call.connection.socket.settimeout(1.0)
        try:
            for _ in range(64 * 16):
                call.send(bytes(MB // 16))
                sent += MB // 16
        except TimeoutError:
            stalled.append(call)

    stalled: list[Call] = []
    node = new_node(count)
    balancer = launch("-nodes", node.uri)
    before = warm_up(balancer, connect)
    client = connect(balancer, READER_BYTES)
    client.send(post(b"stop"))
    client.receive_head()
    node.requests[-1].wait_left()
    assert stalled, "the node could send everything although nobody read it"
    assert balancer.resident_bytes() - before < GROWTH_MAX_BYTES


def test_a_slow_reader_gets_all_of_its_answer(launch: Launch, new_node: NewNode, connect: Connect) -> None:
    node = new_node(lambda call: stream(64, call))
    balancer = launch("-nodes", node.uri)
    before = warm_up(balancer, connect)
    client = connect(balancer, 65536)
    client.send(post())
    client.receive_head()
    most = before
    for _ in range(64):
        assert client.skip(MB) == MB
        most = max(most, balancer.resident_bytes())
    assert most - before < GROWTH_MAX_BYTES
    assert client.ask(request("GET", "/healthz"), "GET").status == 200


def test_pipelined_requests_of_a_client_that_does_not_read_do_not_pile_up_answers(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """Requests of 60 bytes must not turn into answers of 60 KB each that wait in our memory."""
    node = new_node(always(200, b"x" * 60_000))
    balancer = launch("-nodes", node.uri)
    before = warm_up(balancer, connect)
    client, other = connect(balancer, READER_BYTES), connect(balancer)
    client.send(post() * 900)
    for _ in range(900):  # more turns of the loop than the requests could take
        assert other.ask(post()).status == 200
    assert balancer.resident_bytes() - before < GROWTH_MAX_BYTES


def test_a_request_pipelined_behind_an_answer_that_is_read_late_keeps_its_time_limit(
    launch: Launch, new_node: NewNode, connect: Connect
) -> None:
    """Back-pressure of the first answer must not switch off the limit on the node's next one."""

    def script(call: Call) -> None:
        if call.body == b"answered":
            call.answer(200, b"x" * 200_000)

    node = new_node(script)
    balancer = launch("-nodes", node.uri, REQUEST_PROXY_TIMEOUT="0.5", RETRIES_MAX="1")
    client = connect(balancer, READER_BYTES)
    client.send(post(b"answered") * 20 + post(b"hangs"))
    assert [len(client.receive().body) for _ in range(20)] == [200_000] * 20
    assert client.receive().status == 504


def test_a_large_request_reaches_the_node_whole_however_slowly_it_reads(
    balancer: Balancer, new_node: NewNode, connect: Connect
) -> None:
    node = new_node(always(200, b"ok"))
    balancer.add_node(node.uri)
    body = bytes(range(256)) * (8 * MB // 256)
    assert connect(balancer).ask(post(body)).body == b"ok"
    assert [call.body == body for call in node.requests] == [True]
