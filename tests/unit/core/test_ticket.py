"""A ticket before anything has happened to it, and how logs show it."""

from math import inf

from priolb.core.ticket import ENDED, NEW, NO_NODES_TRIED, RUNNING, WAITING, Ticket


def test_a_new_ticket_has_tried_nothing_and_stands_nowhere() -> None:
    ticket = Ticket(1, 10.0, 15.0)
    assert (ticket.lane, ticket.enqueued_at, ticket.start_by) == (1, 10.0, 15.0)
    assert (ticket.state, ticket.sequence, ticket.tries) == (NEW, 0, 0)
    assert ticket.tried is NO_NODES_TRIED
    assert (ticket.suspects, ticket.affinity) == (frozenset(), b"")
    assert ticket.fifo is None


def test_a_ticket_shows_its_number_lane_state_and_tries() -> None:
    ticket = Ticket(2, 0.0, inf)
    ticket.sequence, ticket.tries = 7, 3
    shown = []
    for state in (NEW, WAITING, RUNNING, ENDED):
        ticket.state = state
        shown.append(repr(ticket))
    assert shown == [
        "<Ticket #7 lane=2 new tries=3>",
        "<Ticket #7 lane=2 waiting tries=3>",
        "<Ticket #7 lane=2 running tries=3>",
        "<Ticket #7 lane=2 ended tries=3>",
    ]
