"""Whatever a node says: its client gets a good answer or a cut one, and no other client any of it."""

from fuzz import reference
from fuzz.judges import JudgedNode, read_answer
from fuzz.reference import Answer, IncompleteError, MalformedError
from fuzz.split import chance_of, parts_of
from support.memory import MemoryTransport
from support.rig import MemoryNode, Rig

_FOR_EVER_S = 1000.0

# Method, whether the body passes through (as it is not there at once, nor short), and the request.
_REQUESTS = [
    (b"POST", False, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"),
    (b"GET", False, b"GET /first HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"),
    (b"GET", False, b"GET /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    (b"HEAD", False, b"HEAD /first HTTP/1.1\r\nHost: a\r\n\r\n"),
    (b"GET", False, b"GET /first HTTP/1.0\r\nHost: a\r\n\r\n"),
    (b"GET", False, b"GET /first HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    (b"PATCH", False, b"PATCH /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nwhole"),
    (b"PUT", True, b"PUT /first HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\nonly a part"),
    (b"PUT", True, b"PUT /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\na part\r\n"),
    (
        b"PUT",
        False,
        b"PUT /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n",
    ),
    (b"GET", False, b"GET /first HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
]
_SECOND = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"


def answers(data: bytes) -> None:
    """Let a node say `data` in answer to some request, and see what becomes of it and of the next request."""
    chance = chance_of(data)
    method, passes, request = chance.choice(_REQUESTS)
    ending = chance.choice(["silence", "end", "reset"])
    max_tries = chance.choice([1, 2])
    with Rig(max_tries=max_tries, replay_max_bytes=4) as rig:
        node = rig.node()
        client = rig.client()
        client.send(request)
        rig.run()
        [first] = node.connections
        assert first.take().startswith(method)
        for part in parts_of(data):
            first.send(part)
            if chance.random() < 0.5:
                rig.run()
        if first.is_reading() and ending == "end":
            first.end()
        elif ending == "reset":
            first.break_off()
        served = JudgedNode(rig, node, "sized")
        served.serve(first)
        is_reused = _check_second(rig, node, first)
        rig.advance(_FOR_EVER_S)
        assert client.is_ended, "it hangs"
        output, is_in_order = client.take(), not client.was_reset
    said = _said(data, method, ending)
    if max_tries == 2 and said is not None and said.status >= 400:
        return  # tried again, perhaps on the same connection: what else the node says is the answer to that
    if is_reused:
        assert said is not None and not said.rest, "reused, though not clean"
        assert not passes, "reused, though nobody knows where the node saw the end of the body"
    _check_first(output, method, is_in_order, said)


def _check_second(rig: Rig, node: MemoryNode, first: MemoryTransport) -> bool:
    """Send another request and check that its answer is its own; return whether it took the first way."""
    first.take()
    client = rig.client()
    client.send(_SECOND)
    rig.run()
    heard = first.take()
    is_reused = heard.startswith(b"GET /second ")
    if is_reused:
        first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Seen: it\r\n\r\nown")
    else:
        later = JudgedNode(rig, node, "sized")
        later.serve(first)
    rig.run()
    answer, rest = read_answer(client.take(), b"GET", is_ended=False)
    assert answer is not None and answer.is_whole and rest == b""
    assert answer.status == 200
    assert answer.body == (b"own" if is_reused else b"0 of /second")
    return is_reused


def _check_first(output: bytes, method: bytes, is_in_order: bool, said: Answer | None) -> None:
    """Check that the first client has got one good answer, and a whole one only if the node's was whole."""
    answer, rest = read_answer(output, method, is_ended=is_in_order)
    if answer is None:
        return  # cut before its head was whole
    if answer.status == 101:
        assert said is not None and said.status == 101
        assert said.rest.startswith(rest)
        return
    if not answer.is_of_node or answer.seen:
        assert answer.is_whole  # ours, or that of a second try
        return
    if answer.is_whole:
        assert rest == b""
        assert said is not None, "a whole answer made of a part"
        assert (answer.status, answer.body) == (said.status, said.body)


def _said(data: bytes, method: bytes, ending: str) -> Answer | None:
    """Return the answer that the model finds in what the node said, None when there is no whole one."""
    try:
        return reference.read_answer(data, method, is_ended=ending == "end")
    except (MalformedError, IncompleteError):
        return None
