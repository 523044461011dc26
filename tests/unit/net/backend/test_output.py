"""Connections to nodes as a way out: over which of them a request goes, and how long it has."""

from support.manual_loop import TICK_S
from support.messages import ANSWER, NODE_TIMEOUT, POST, answer_at_client
from support.rig import Rig, serve_one


def test_a_used_connection_has_3_seconds_again_however_long_it_was_idle() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        serve_one(rig, node)
        rig.advance(60)
        client.send(POST)
        rig.advance(3)
        assert client.take() == b""
        rig.advance(2 * TICK_S)
        assert client.take() == NODE_TIMEOUT


def test_the_fresh_connection_has_no_more_time_than_the_stale_one_had() -> None:
    with Rig(max_tries=1) as rig:
        node, client = rig.node(), rig.client()
        stale = serve_one(rig, node)
        client.send(POST)
        rig.advance(2)
        stale.end()
        node.accept()
        rig.advance(1)
        assert client.take() == b""
        rig.advance(2 * TICK_S)
        assert client.take() == NODE_TIMEOUT


def test_a_request_that_must_not_be_sent_twice_goes_over_a_fresh_connection() -> None:
    """Over a used one, nobody could tell a node that closed it in time from one that crashed at work."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        used = serve_one(rig, node)
        client.send(POST.replace(b"POST", b"PATCH"))
        fresh = node.accept()
        assert used.take() == b""
        fresh.send(ANSWER)
        assert client.take() == answer_at_client(is_json=False)
        assert rig.engine.idle.count == 2


def test_a_connection_that_comes_too_late_is_dropped() -> None:
    """The client left while the loop was about to say that the connection stands."""
    with Rig() as rig:
        node, client = rig.node(), rig.client()
        client.send(POST)
        rig.loop.turn()
        client.end()
        call = node.accept()
        assert call.was_aborted
        assert call.take() == b""
